<?php
// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// PDO has no URLs: the parameters are libpq's own.
$url = parse_url(getenv('DATABASE_URL'));
$dsn = "pgsql:host={$url['host']};port={$url['port']};dbname=" . substr($url['path'], 1) . ';' . strtr($url['query'], '&', ';');
try {
    $connection = new PDO($dsn, $url['user'], rawurldecode($url['pass']));
    echo implode(' ', $connection->query('select current_user, version()')->fetch(PDO::FETCH_NUM)), "\n";
} catch (PDOException $error) {
    fwrite(STDERR, $error->getMessage());
    exit(1);
}
