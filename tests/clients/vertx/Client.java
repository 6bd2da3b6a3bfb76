// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

import io.vertx.core.Vertx;
import io.vertx.core.net.ClientSSLOptions;
import io.vertx.core.net.PemTrustOptions;
import io.vertx.pgclient.PgConnectOptions;
import io.vertx.pgclient.PgConnection;
import io.vertx.pgclient.SslMode;
import java.util.concurrent.TimeUnit;

public class Client {
    public static void main(String[] arguments) throws Exception {
        // A URL's sslmode is understood; whom to trust, and that the name must fit, is said here.
        String[] parts = System.getenv("DATABASE_URL").split("&sslrootcert=", 2);
        ClientSSLOptions ssl = new ClientSSLOptions().setHostnameVerificationAlgorithm("HTTPS");
        if (!parts[1].equals("system")) {
            ssl.setTrustOptions(new PemTrustOptions().addCertPath(parts[1]));
        }
        PgConnectOptions options = PgConnectOptions.fromUri(parts[0]).setSslMode(SslMode.VERIFY_FULL).setSslOptions(ssl);
        Vertx vertx = Vertx.vertx();
        try {
            var rows = PgConnection.connect(vertx, options)
                .compose(connection -> connection.query("select current_user::text, version()").execute())
                .toCompletionStage().toCompletableFuture().get(20, TimeUnit.SECONDS);
            rows.forEach(row -> System.out.println(row.getString(0) + " " + row.getString(1)));
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                System.err.println(cause.getMessage());
            }
            System.exit(1);
        }
        System.exit(0);
    }
}
