// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

func run(ctx context.Context) error {
	connection, err := pgx.Connect(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	if len(os.Args) > 1 {
		time.AfterFunc(500*time.Millisecond, func() { _ = connection.PgConn().CancelRequest(ctx) })
		if _, err := connection.Exec(ctx, "select pg_sleep(2)"); err != nil {
			return err
		}
	}
	var user, version string
	if err := connection.QueryRow(ctx, "select current_user, version()").Scan(&user, &version); err != nil {
		return err
	}
	fmt.Println(user, version)
	return nil
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
