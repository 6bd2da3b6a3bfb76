// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

import java.net.URI;
import java.sql.DriverManager;
import java.sql.SQLException;

public class Client {
    public static void main(String[] arguments) throws Exception {
        String url = jdbc(System.getenv("DATABASE_URL"));
        try (var connection = DriverManager.getConnection(url); var statement = connection.createStatement()) {
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

    /** What `env` prints as JDBC_DATABASE_URL. */
    private static String jdbc(String url) throws Exception {
        if (url.startsWith("jdbc:")) {
            return url;
        }
        URI uri = new URI(url);
        String[] login = uri.getRawUserInfo().split(":", 2);
        String parameters = uri.getRawQuery()
            .replace("sslrootcert=system", "sslfactory=org.postgresql.ssl.DefaultJavaSSLFactory")
            .replace("sslnegotiation", "sslNegotiation");
        return "jdbc:postgresql://" + uri.getHost() + ":" + uri.getPort() + uri.getPath()
            + "?user=" + login[0] + "&password=" + login[1] + "&" + parameters;
    }
}
