//! Brokers whose listeners encrypt: certificates are verified, here and between the regions.

use std::process::Command;

use libtest_mimic::Trial;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::{
    harness::cases,
    services::broker::Broker,
    support::{ran::Ran, until},
};

pub fn cases() -> Vec<Trial> {
    cases![certificates_are_verified_by_fedctl_and_by_links]
}

/// An authority's certificate, and one for this machine that it signed, with its key.
fn certificates() -> [(&'static str, String); 3] {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut own = CertificateParams::new(["localhost".to_owned()]).unwrap();
    // one whose subject is its issuer's is taken for a self-signed one
    own.distinguished_name.push(DnType::CommonName, "localhost");
    let own = own.signed_by(&key, &authority).unwrap();
    [("ca.pem", authority.pem()), ("cert.pem", own.pem()), ("key.pem", key.serialize_pem())]
}

fn certificates_are_verified_by_fedctl_and_by_links() {
    let files = certificates();
    let broker = Broker::encrypted(&files);
    broker.begin();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("ca.pem"), &files[0].1).unwrap();
    std::fs::write(path("other.pem"), &certificates()[0].1).unwrap();
    std::fs::write(path("password"), "hush-hush").unwrap();
    let [amqp, management] = broker.addresses().map(|address| address.replace("127.0.0.1", "localhost"));
    let topology = |ca: &str, parameters: &str| {
        let region = |name: &str| {
            format!(
                "- name: {name}\n  broker: {{management: 'https://{management}', amqp: 'amqps://{amqp}', advertise: \
                 'amqps://localhost:5671?{parameters}', cluster-name: {}, vhost: {name}, user: test, password-file: \
                 password, ca-file: {ca}}}\n",
                broker.cluster_name()
            )
        };
        let regions = [region("europe"), region("asia")].concat();
        std::fs::write(path("regions.yaml"), format!("name: tls\nmaster: europe\nregions:\n{regions}"))
            .unwrap();
    };
    let fedctl = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fedctl"));
        command.arg("--file").arg(path("regions.yaml")).args(arguments);
        Ran::of(command)
    };
    let verified = "verify=verify_peer&cacertfile=/etc/rabbitmq/ca.pem";
    topology("ca.pem", verified);
    until("the broker is up", || (fedctl(&["up", "--timeout", "5s"]).code == Some(0)).then_some(()));
    let probed = fedctl(&["probe", "--count", "5"]).exits(0);
    probed.says("4 of 4 links moved 5 messages, each once");

    topology("other.pem", verified);
    fedctl(&["status"]).exits(4).says("invalid peer certificate").conceals("hush");
    topology("ca.pem", "verify=verify_peer&cacertfile=/etc/rabbitmq/cert.pem");
    fedctl(&["up", "--timeout", "5s"]).exits(0);
    let probed = fedctl(&["probe", "--count", "1", "--timeout", "5s"]).exits(5);
    probed.says("0 of 4 links");
}
