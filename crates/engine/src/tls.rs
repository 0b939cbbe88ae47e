//! Encrypted connections to brokers that fedctl did not start.

use std::{fmt::Display, io, net::Ipv4Addr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use fedctl_model::site::Address;

/// Whom to trust: who signed the certificates in this PEM file, or whom the system trusts.
///
/// # Errors
///
/// If the certificates cannot be read.
pub fn config(ca_file: Option<&str>) -> Result<ClientConfig, String> {
    let Some(file) = ca_file else {
        let builder = ClientConfig::builder().with_platform_verifier();
        return Ok(builder.map_err(|error| error.to_string())?.with_no_client_auth());
    };
    let unusable = |reason: &dyn Display| format!("cannot use the certificates in `{file}`: {reason}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
        roots.add(certificate.map_err(|error| unusable(&error))?).map_err(|error| unusable(&error))?;
    }
    if roots.is_empty() {
        return Err(unusable(&"there is none"));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

/// A port of the loopback address whose first connection goes to `address`, encrypted from here on. The AMQP client speaks
/// no TLS with this program's roots; the one connection that is passed on is its.
///
/// # Errors
///
/// If nothing can be reached at the address, or its certificate is not trusted.
pub async fn relay(address: &Address, ca_file: Option<&str>) -> io::Result<u16> {
    let mut encrypted = connect(address, ca_file).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let (mut plain, _) = listener.accept().await?;
        copy_bidirectional(&mut plain, &mut encrypted).await
    });
    Ok(port)
}

async fn connect(address: &Address, ca_file: Option<&str>) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    let config = config(ca_file).map_err(io::Error::other)?;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}
