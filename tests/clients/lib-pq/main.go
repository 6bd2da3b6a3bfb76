// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	_ "github.com/lib/pq"
)

func run(ctx context.Context) error {
	database, err := sql.Open("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer database.Close()
	if len(os.Args) > 1 {
		soon, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
		defer cancel()
		if _, err := database.ExecContext(soon, "select pg_sleep(2)"); err != nil {
			return err
		}
	}
	var user, version string
	if err := database.QueryRowContext(ctx, "select current_user, version()").Scan(&user, &version); err != nil {
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
