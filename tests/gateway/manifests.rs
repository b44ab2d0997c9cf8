//! The manifests of `deploy/kustomize` and `deploy/helm`, checked by kustomize, Helm, Kubernetes' schemas, checkov, and the
//! gateway itself. The checks are in `tests/manifests`, in Python, like most of these tools.

use std::process::Command;

use crate::harness::program::binary;

fn manifests(promise: &str) {
    let python =
        std::env::var("ASTEROID_MANIFESTS_PYTHON").expect("tests/run installs what is needed and names its Python");
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/manifests")).arg(promise).arg(binary().get_program());
    // Otherwise Python would write bytecode into the source tree.
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn kustomize_and_the_chart_render_the_same_objects() {
    manifests("equality");
}

#[test]
fn helm_finds_nothing_to_complain_of_and_nonsensical_values_are_refused() {
    manifests("chart");
}

#[test]
fn the_chart_warns_where_its_policy_does_not_tell_tenants_apart() {
    manifests("notes");
}

#[test]
fn every_manifest_keeps_to_the_schema_of_its_kind_to_the_last_key() {
    manifests("schema");
}

#[test]
fn checkov_finds_nothing_that_is_not_explained() {
    manifests("checkov");
}

#[test]
fn pods_keep_to_the_restricted_standard_and_no_application_sees_the_key() {
    manifests("pods");
}

#[test]
fn every_configuration_in_the_manifests_passes_check_and_fits_its_pod() {
    manifests("configuration");
}

#[test]
fn the_chart_replaces_pods_for_what_needs_a_restart_and_for_nothing_else() {
    manifests("restart");
}

#[test]
fn rules_and_patches_that_stand_twice_are_the_same_twice() {
    manifests("copies");
}

#[test]
fn what_the_guide_tells_to_write_and_to_run_on_kubernetes_does_as_it_says() {
    manifests("walk");
}
