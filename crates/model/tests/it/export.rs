//! The text of an export.

use crate::catalogue::catalogue;
use fedctl_model::{export::compose::compose, topology};

#[test]
fn a_uri_asked_for_in_the_environment_comes_from_a_file_that_the_script_makes() {
    let text = "name: shop\nmaster: europe\nregions:\n  - name: europe\n    services:\n      - name: stock\n        \
                image: example.org/stock:1\n        amqp-uri-in-environment: true\n        environment:\n          \
                GREETING: $HOME\n";
    let (topology, _) = topology::parse(text, &catalogue()).unwrap();
    let files = compose(&topology, &catalogue());
    let yaml = &files["compose.yaml"];
    assert!(!yaml.contains("AMQP_URI="), "{yaml}");
    assert!(yaml.contains("env_file:\n      - .secrets/europe/stock/environment\n"), "{yaml}");
    assert!(yaml.contains("- GREETING=$$HOME\n"), "{yaml}");
    assert!(!yaml.contains("service-image"), "nothing of fedctl's own is in it:\n{yaml}");
    let made = "printf %s 'AMQP_URI=amqp://services:@europe/services@@broker:5672/%2F' | \
                fill europe/stock/environment\n";
    assert!(files["secrets.sh"].contains(made), "{}", files["secrets.sh"]);
}
