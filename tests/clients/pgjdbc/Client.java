// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

import java.net.URI;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Properties;

public class Client {
    public static void main(String[] arguments) throws Exception {
        // A JDBC URL has no user and password in front of the host, and some parameters have names of their own.
        URI uri = new URI(System.getenv("DATABASE_URL"));
        String[] login = uri.getUserInfo().split(":", 2);
        Properties properties = new Properties();
        properties.setProperty("user", login[0]);
        properties.setProperty("password", login[1]);
        for (String parameter : uri.getQuery().split("&")) {
            String[] pair = parameter.split("=", 2);
            if (parameter.equals("sslrootcert=system")) {
                properties.setProperty("sslfactory", "org.postgresql.ssl.DefaultJavaSSLFactory");
            } else {
                properties.setProperty(pair[0].equals("sslnegotiation") ? "sslNegotiation" : pair[0], pair[1]);
            }
        }
        String url = "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath();
        try (var connection = DriverManager.getConnection(url, properties); var statement = connection.createStatement()) {
            if (arguments.length > 0) {
                statement.setQueryTimeout(1);
                statement.execute("select pg_sleep(2)");
            }
            var result = statement.executeQuery("select current_user, version()");
            result.next();
            System.out.println(result.getString(1) + " " + result.getString(2));
        } catch (SQLException error) {
            System.err.println(error.getMessage());
            System.exit(1);
        }
    }
}
