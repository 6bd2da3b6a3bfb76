// Copyright: Infinite Databases contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

use rustls::pki_types::{pem::PemObject, CertificateDer};
use std::error::Error;
use tokio_postgres_rustls::MakeRustlsConnect;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        eprint!("{error}");
        let mut source = error.source();
        while let Some(cause) = source {
            eprint!(": {cause}");
            source = cause.source();
        }
        eprintln!();
        std::process::exit(1);
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    // tokio-postgres knows no sslrootcert, and no verify-full: it is the only way of rustls.
    let url = std::env::var("DATABASE_URL")?;
    let (address, parameters) = url.split_once('?').ok_or("no parameters")?;
    let (mut ca, mut kept) = ("system", vec!["sslmode=require"]);
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", _)) => (),
            Some(("sslrootcert", file)) => ca = file,
            _ => kept.push(parameter),
        }
    }

    let mut roots = rustls::RootCertStore::empty();
    if ca == "system" {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        for certificate in CertificateDer::pem_file_iter(ca)? {
            roots.add(certificate?)?;
        }
    }
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Needed for sslnegotiation=direct only.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    let tls = MakeRustlsConnect::new(config);

    let (client, connection) =
        tokio_postgres::connect(&format!("{address}?{}", kept.join("&")), tls.clone()).await?;
    tokio::spawn(connection);
    if std::env::args().nth(1).is_some() {
        let token = client.cancel_token();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            token.cancel_query(tls).await
        });
        client.batch_execute("select pg_sleep(2)").await?;
    }
    let row = client
        .query_one("select current_user::text, version()", &[])
        .await?;
    println!("{} {}", row.get::<_, String>(0), row.get::<_, String>(1));
    Ok(())
}
