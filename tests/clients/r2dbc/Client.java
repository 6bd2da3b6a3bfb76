// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

import io.r2dbc.spi.Connection;
import io.r2dbc.spi.ConnectionFactories;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

public class Client {
    public static void main(String[] arguments) {
        // Its parameters have names of their own. Without sslRootCert, Java's own CAs are trusted.
        String url = System.getenv("DATABASE_URL")
            .replace("postgresql://", "r2dbc:postgresql://")
            .replace("&sslrootcert=system", "")
            .replace("sslmode", "sslMode")
            .replace("sslrootcert", "sslRootCert");
        try {
            System.out.println(Flux.usingWhen(
                Mono.from(ConnectionFactories.get(url).create()),
                connection -> Flux.from(connection.createStatement("select current_user, version()").execute())
                    .flatMap(result -> result.map((row, metadata) ->
                        row.get(0, String.class) + " " + row.get(1, String.class))),
                Connection::close).blockLast());
        } catch (Exception error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                System.err.println(cause.getMessage());
            }
            System.exit(1);
        }
        System.exit(0);
    }
}
