# Copyright: Infinite Databases contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
use strict;
use warnings;
use DBI;

# DBI has no URLs: the parameters are libpq's own.
my ($user, $password, $host, $port, $database, $rest) =
    $ENV{DATABASE_URL} =~ m{^postgresql://(.*?):(.*?)@(.*):(\d+)/(.*?)\?(.*)$} or die 'the URL has another form';
$password =~ s/%(..)/chr hex $1/ge;
$rest =~ tr/&/;/;
my $connection = DBI->connect("dbi:Pg:host=$host;port=$port;dbname=$database;$rest", $user, $password, { PrintError => 0 })
    or die DBI->errstr;
print join(' ', $connection->selectrow_array('select current_user, version()')), "\n";
$connection->disconnect;
