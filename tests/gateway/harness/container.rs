//! The image of `tests/image`, run by an OCI runtime in the same way as by a kubelet.

use std::fs::{create_dir, create_dir_all, read, write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::network::Network;
use super::program::{ExitedProgram, Program};

/// The user as which the image runs.
pub(crate) const USER: u32 = 65532;

/// Returns the path of a file that `tests/image` built.
pub(crate) fn built(file: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/image").join(file);
    assert!(path.exists(), "there is no {}: tests/image builds the image", path.display());
    path
}

/// Unpacks the image into a bundle, which contains `rootfs` and `config.json`.
pub(crate) fn unpack(bundle: &Path) {
    let image = format!("{}:gateway", built("layout").display());
    let output = Command::new("umoci").args(["unpack", "--image", &image]).arg(bundle).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A directory whose files change all at once, like those of a mounted Secret or ConfigMap.
#[derive(Debug)]
pub(crate) struct Volume {
    dir: TempDir,
    versions: AtomicU32,
}

impl Volume {
    /// Creates a volume with these files, each a name and its content.
    pub(crate) fn new(files: &[(&str, &str)]) -> Volume {
        let volume = Volume { dir: tempfile::tempdir().unwrap(), versions: AtomicU32::new(0) };
        allow(volume.dir.path(), 0o755);
        for (name, _) in files {
            symlink(format!("..data/{name}"), volume.dir.path().join(name)).unwrap();
        }
        volume.publish(files);
        volume
    }

    /// Replaces the files. Only root and the group of the image's user can read them.
    pub(crate) fn publish(&self, files: &[(&str, &str)]) {
        let root = self.dir.path();
        let version = format!("..version_{}", self.versions.fetch_add(1, Ordering::Relaxed));
        create_dir(root.join(&version)).unwrap();
        allow(&root.join(&version), 0o755);
        for (name, content) in files {
            let file = root.join(&version).join(name);
            write(&file, content).unwrap();
            chown(&file, None, Some(USER)).unwrap();
            allow(&file, 0o440);
        }
        let before = std::fs::read_link(root.join("..data")).ok();
        symlink(version, root.join("..data_tmp")).unwrap();
        std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        if let Some(before) = before {
            std::fs::remove_dir_all(root.join(before)).unwrap();
        }
    }
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The settings of a container that are not in the image.
pub(crate) struct Pod<'a> {
    /// The arguments, which follow the image's entry point.
    pub(crate) arguments: &'a [&'a str],
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// The volumes with their mount points, read-only.
    pub(crate) volumes: &'a [(&'a str, &'a Volume)],
    /// The files that a kubelet writes for a pod, such as `/etc/resolv.conf`.
    pub(crate) files: &'a [(&'a str, &'a str)],
}

/// A running container.
pub(crate) struct Container<'a> {
    network: &'a Network,
    /// The program, whose output can be read. To send it a signal, use [`Container::signal`].
    pub(crate) program: Program,
    state: PathBuf,
}

impl Pod<'_> {
    /// Starts a container in a network.
    pub(crate) fn start<'a>(&self, network: &'a Network) -> Container<'a> {
        let dir = tempfile::tempdir().unwrap();
        let bundle = dir.path().join("bundle");
        unpack(&bundle);
        let file = bundle.join("config.json");
        let mut configuration = serde_json::from_slice(&read(&file).unwrap()).unwrap();
        self.configure(&mut configuration, dir.path());
        write(&file, configuration.to_string()).unwrap();
        let state = dir.path().join("state");
        let mut command = runtime(network, &state);
        command.args(["run", "--bundle"]).arg(&bundle).arg("gateway");
        Container { network, program: Program::start(command, dir), state }
    }

    /// Sets what the restricted Pod Security Standard requires, and `readOnlyRootFilesystem`; the image decides the rest.
    fn configure(&self, configuration: &mut Value, dir: &Path) {
        let process = &mut configuration["process"];
        process["terminal"] = false.into();
        process["noNewPrivileges"] = true.into();
        process["capabilities"] =
            json!({ "bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": [] });
        process["args"].as_array_mut().unwrap().extend(self.arguments.iter().map(|argument| json!(argument)));
        let environment = self.environment.iter().map(|(name, value)| json!(format!("{name}={value}")));
        process["env"].as_array_mut().unwrap().extend(environment);
        configuration["root"]["readonly"] = true.into();
        // The network namespace exists already: the runtime is started in it.
        configuration["linux"]["namespaces"].as_array_mut().unwrap().retain(|kind| kind["type"] != "network");
        let mounts = configuration["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["type"] != "cgroup");
        let bind = |at: &str, from: &Path| json!({ "destination": at, "type": "bind", "source": from, "options": ["rbind", "ro", "nosuid", "nodev"] });
        mounts.extend(self.volumes.iter().map(|(at, volume)| bind(at, volume.dir.path())));
        for (at, content) in self.files {
            let file = dir.join(format!("files{at}"));
            create_dir_all(file.parent().unwrap()).unwrap();
            write(&file, content).unwrap();
            mounts.push(bind(at, &file));
        }
    }
}

impl Container<'_> {
    /// Runs a program inside the container, like an exec probe.
    pub(crate) fn execute(&self, arguments: &[&str]) -> Output {
        let mut command = runtime(self.network, &self.state);
        command.args(["exec", "gateway"]).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// Sends a signal by its name to the container's first process, as its runtime does.
    pub(crate) fn signal(&self, name: &str) {
        let output = runtime(self.network, &self.state).args(["kill", "gateway", name]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends SIGTERM, waits for the end, and returns its status and output.
    pub(crate) fn stop(self) -> ExitedProgram {
        self.signal("TERM");
        self.program.end()
    }

    /// Returns a file in `/proc` of its first process, as root sees it.
    pub(crate) fn process(&self, file: &str) -> String {
        let state = runtime(self.network, &self.state).args(["state", "gateway"]).output().unwrap();
        let id = super::json(&state.stdout)["pid"].to_string();
        let output = self.network.command("cat").arg(format!("/proc/{id}/{file}")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn runtime(network: &Network, state: &Path) -> Command {
    let mut command = network.command("crun");
    command.args(["--cgroup-manager", "disabled", "--root"]).arg(state);
    command
}
