// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.net.URI;

public class Client {
    public static void main(String[] arguments) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl(jdbc(System.getenv("DATABASE_URL")));
        config.setMaximumPoolSize(2);
        try (var pool = new HikariDataSource(config);
                var connection = pool.getConnection();
                var result = connection.createStatement().executeQuery("select current_user, version()")) {
            result.next();
            System.out.println(result.getString(1) + " " + result.getString(2));
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                System.err.println(cause.getMessage());
            }
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
