//! What is handed to those who deploy: the image's files, the units, the proxy's configuration.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::client::Browser;
use crate::support::database::free_port;

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/deploy")
        .join(name)
}

/// Where chroot lies, which is looked for where the child's own variables say.
const SBIN: &str = "/usr/sbin:/sbin:/usr/bin:/bin";

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]]
        .map(String::from_utf8_lossy)
        .concat()
}

#[test]
fn the_service_is_hardened_and_well_formed() {
    let checked = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=20"])
        .arg(deploy("portcullis.service"))
        .output();
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => return crate::support::left_out("systemd-analyze", &error.to_string()),
    };
    assert!(checked.status.success(), "{}", text(&checked));
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args([deploy("portcullis.service"), deploy("portcullis.socket")])
        .output()
        .unwrap();
    // Only the binary, which is not installed here, may be missed.
    let complaints = text(&verified);
    let others: Vec<&str> = complaints
        .lines()
        .filter(|line| line.contains("portcullis") && !line.contains("/usr/local/bin/portcullis"))
        .collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn commands_run_as_the_service_does() {
    let unit = std::fs::read_to_string(deploy("portcullis.service")).unwrap();
    let script = std::fs::read_to_string(deploy("portcullis-as-service")).unwrap();
    let shared = [
        "User=",
        "UMask=",
        "StateDirectory=",
        "StateDirectoryMode=",
        "WorkingDirectory=",
        "EnvironmentFile=",
        "ProtectSystem=",
    ];
    for name in shared {
        let line = unit.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(
            script.contains(&format!("--property={line} ")),
            "{line}: {script}"
        );
    }
    // A cause that lasts for some minutes must not end the service for good.
    assert!(unit.contains("\nStartLimitIntervalSec=0\n"), "{unit}");
    let binary = unit.split("ExecStart=").nth(1).unwrap();
    let binary = binary.lines().next().unwrap();
    assert!(script.contains(&format!("{binary} \"$@\"")), "{script}");
    // A shell takes it, and hands every word on as it is.
    let told = script
        .replace("exec systemd-run", "printf '%s\n'")
        .replace("systemctl show", "echo /srv/files; : ");
    let output = Command::new("sh")
        .args(["-c", &told, "as-service", "roles", "grant", "a b"])
        .output()
        .unwrap();
    let words = text(&output);
    assert!(
        words.ends_with(&format!("{binary}\nroles\ngrant\na b\n")),
        "{words}"
    );
    let writable = "\n--property=ReadWritePaths=/srv/files\n";
    assert!(words.contains(writable), "{words}");
}

/// The README's commands that make the folder of settings, for another place and a group by its number, without what asks a
/// person or changes the machine's users.
fn settings_recipe(etc: &Path, group: u32) -> String {
    let readme = include_str!("../README.md");
    let mut blocks = readme.split("```sh\n").skip(1);
    let block = blocks
        .find(|block| block.contains("/etc/portcullis/env"))
        .unwrap();
    let lines = block.split("```").next().unwrap().lines().map(str::trim);
    let lines = lines.filter(|line| line.contains("install"));
    let lines: Vec<String> = lines
        .map(|line| {
            line.replace("sudo ", "")
                .replace("/etc/portcullis", etc.to_str().unwrap())
                .replace("-g portcullis", &format!("-g {group}"))
        })
        .collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    lines.join("\n")
}

#[test]
fn service_and_commands_can_read_the_files_that_the_settings_name_and_not_the_settings() {
    const USER: u32 = 65532;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for name in [".env.example", "client.pem"] {
        std::fs::write(folder.path().join(name), "a secret").unwrap();
    }
    let etc = folder.path().join("etc");
    let made = Command::new("sh")
        .args(["-euc", &settings_recipe(&etc, USER)])
        .current_dir(folder.path())
        .output()
        .unwrap();
    if !made.status.success() {
        return crate::support::left_out("chroot", &text(&made));
    }
    let can = |user: u32, what: &str, name: &str| {
        let mut test = Command::new("test");
        test.args([what]).arg(etc.join(name)).uid(user).gid(user);
        test.status().unwrap().success()
    };
    assert!(
        can(USER, "-r", "client.pem"),
        "the service's user reads what the settings name"
    );
    assert!(
        !can(USER, "-r", "env"),
        "systemd hands the settings over, as root"
    );
    assert!(!can(USER, "-w", "client.pem") && !can(USER, "-w", "."));
    assert!(!can(USER + 1, "-r", "client.pem"), "and nobody else");
    // The unit says the user, so that both run as the one whom the files belong to.
    let unit = std::fs::read_to_string(deploy("portcullis.service")).unwrap();
    assert!(unit.contains("\nUser=portcullis\n") && !unit.contains("\nDynamicUser=yes"));
}

/// `compose.yaml` as JSON.
fn compose() -> Option<serde_json::Value> {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let read = Command::new("python3")
        .args(["-c", script])
        .arg(deploy("compose.yaml"))
        .output();
    match read {
        Ok(read) if read.status.success() => Some(serde_json::from_slice(&read.stdout).unwrap()),
        other => {
            crate::support::left_out("yaml", &format!("{other:?}"));
            None
        }
    }
}

/// Texts in a list.
fn texts(list: &serde_json::Value) -> Vec<&str> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap()).collect()
}

fn is_setting(name: &str) -> bool {
    portcullis::settings::variables::KNOWN
        .iter()
        .any(|(known, _)| *known == name)
}

#[test]
fn every_file_setting_and_service_that_the_compose_file_names_exists() {
    let Some(compose) = compose() else {
        return;
    };
    let source = std::fs::read_to_string(deploy("compose.yaml")).unwrap();
    let explained: String = source
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    let services = compose["services"].as_object().unwrap();
    assert_eq!(services.len(), 3);
    for (name, service) in services {
        for volume in texts(&service["volumes"]) {
            let source = volume.split(':').next().unwrap();
            match source.strip_prefix("./") {
                Some(file) => assert!(
                    deploy(file).exists() || explained.contains(&format!("`{file}/")),
                    "{name}: {volume}"
                ),
                None => assert!(compose["volumes"].get(source).is_some(), "{name}: {volume}"),
            }
        }
        let after = &service["depends_on"];
        let listed = texts(after);
        let mapped = after.as_object().into_iter().flat_map(|map| map.keys());
        for other in mapped.map(String::as_str).chain(listed) {
            assert!(services.contains_key(other), "{name} waits for {other}");
        }
    }
    let portal = &services["portcullis"];
    let context = deploy(portal["build"]["context"].as_str().unwrap());
    assert!(context.join("Dockerfile").exists(), "{context:?}");
    assert!(explained.contains(&format!("`{}`", portal["env_file"].as_str().unwrap())));
    for name in portal["environment"].as_object().unwrap().keys() {
        assert!(is_setting(name), "{name} is no setting");
    }
    // Docker kills what takes longer.
    assert_eq!(portal["stop_grace_period"], "60s");
    assert_eq!(portal["environment"]["SHUTDOWN_DELAY"], "2s");
    // The proxy's file asks the service by its name, at the port of the image.
    let nginx = std::fs::read_to_string(deploy("nginx.conf")).unwrap();
    assert!(nginx.contains("server portcullis:8000;"));
}

#[test]
fn the_image_sets_settings_that_there_are() {
    let dockerfile = include_str!("../Dockerfile");
    let set = dockerfile
        .lines()
        .find_map(|line| line.strip_prefix("ENV "))
        .unwrap();
    for pair in set.split(' ') {
        let (name, _) = pair.split_once('=').unwrap();
        assert!(is_setting(name), "{name}");
    }
    // What would make FILES_URL a contradiction, and a database of one's own another file, is left to the defaults.
    assert!(!set.contains("FILES_DIR") && dockerfile.contains("\nWORKDIR /\n"));
}

/// The portal runs in the image's files as Docker would run it, but for development mode.
async fn serves_pages(root: &Path) {
    let port = free_port();
    let port_text = port.to_string();
    let run = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command
            .args(["--userspec=65532:65532"])
            .arg(root)
            .arg("/portcullis")
            .args(arguments)
            .env_clear()
            .env("PATH", SBIN)
            .envs([("DEV_MODE", "true"), ("PORT", &port_text)]);
        command
    };
    let mut portal = run(&[]).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let mut health = run(&["health"]).output().unwrap();
    while !health.status.success() && began.elapsed() < Duration::from_secs(20) {
        health = run(&["health"]).output().unwrap();
    }
    let browser = Browser::new(&format!("http://localhost:{port}"));
    let page = match health.status.success() {
        true => browser.navigate("/").await.text(),
        false => String::new(),
    };
    let targets = page.split("href=\"").skip(1);
    let mut targets = targets.filter_map(|part| part.split('"').next());
    let css = targets.find(|target| target.contains(".css"));
    let style = match css {
        Some(css) => Some(browser.get(css).await),
        None => None,
    };
    portal.kill().unwrap();
    portal.wait().unwrap();
    assert!(health.status.success(), "{}", text(&health));
    let style = style.unwrap_or_else(|| panic!("no stylesheet in {page:?}"));
    assert!(style.expect(200).text().contains('{'));
    assert!(
        !run(&["health"]).output().unwrap().status.success(),
        "nobody answers any more"
    );
    for made in ["data/portcullis.db", "data/files"] {
        assert!(root.join(made).exists(), "{made} lies elsewhere");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_images_files_are_all_that_the_binary_needs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("image");
    let binary = env!("CARGO_BIN_EXE_portcullis");
    let laid_out = Command::new(deploy("image-root.sh"))
        .arg(binary)
        .arg(&root)
        .output()
        .unwrap();
    assert!(laid_out.status.success(), "{}", text(&laid_out));
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let inside = |arguments: &[&str], settings: &[(&str, &str)]| {
        Command::new("chroot")
            .args(["--userspec=65532:65532"])
            .arg(&root)
            .arg("/portcullis")
            .args(arguments)
            .env_clear()
            .env("PATH", SBIN)
            .envs(settings.iter().copied())
            .output()
    };
    let told = match inside(&["--version"], &[]) {
        Ok(told) if told.status.code() != Some(125) => told,
        other => return crate::support::left_out("chroot", &format!("{other:?}")),
    };
    assert_eq!(
        text(&told).trim(),
        format!("portcullis {}", env!("CARGO_PKG_VERSION"))
    );
    let data = [
        ("DATABASE_URL", "sqlite:///data/portcullis.db"),
        ("FILES_DIR", "/data/files"),
    ];
    let granted = inside(&["roles", "grant", "ada@contoso.example", "admin"], &data).unwrap();
    assert!(granted.status.success(), "{}", text(&granted));
    // Not root, and nothing but /data to write to.
    let refused = inside(&["migrate"], &[("DATABASE_URL", "sqlite:///etc/portal.db")]).unwrap();
    assert!(!refused.status.success(), "{}", text(&refused));
    // The roots that discovery is checked against are there.
    let doctor = inside(&["doctor"], &data).unwrap();
    assert!(
        text(&doctor).contains("AZURE_TENANT_ID"),
        "{}",
        text(&doctor)
    );
    assert!(
        root.join("etc/ssl/certs/ca-certificates.crt")
            .metadata()
            .unwrap()
            .len()
            > 100_000
    );
    std::fs::remove_file(root.join("data/portcullis.db")).unwrap();
    serves_pages(&root).await;
}

#[test]
fn the_dockerfile_ends_in_an_unprivileged_image_that_checks_itself() {
    let dockerfile =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Dockerfile")).unwrap();
    let last = dockerfile.rsplit("\nFROM ").next().unwrap();
    for line in [
        "scratch",
        "USER 65532:65532",
        "\"/portcullis\", \"health\"",
        "ENTRYPOINT [\"/portcullis\"]",
    ] {
        assert!(last.contains(line), "{line} is not in {last}");
    }
    assert!(dockerfile.contains("docs/deploy/image-root.sh"));
    // Everything that the binary shows is inside it, so the image needs no folder beside.
    assert!(!last.contains("templates") && !last.contains("static"));
}

#[test]
fn nginx_takes_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["files.contoso.com".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    let site = std::fs::read_to_string(deploy("nginx.conf"))
        .unwrap()
        .replace("/etc/nginx/tls", folder.path().to_str().unwrap())
        .replace("portcullis:8000", "127.0.0.1:8000");
    let config = format!(
        "pid {path}/pid; error_log {path}/error.log; events {{}}
         http {{ access_log off; client_body_temp_path {path}/b; proxy_temp_path {path}/p; fastcgi_temp_path {path}/f;
                 uwsgi_temp_path {path}/u; scgi_temp_path {path}/s; {site} }}"
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config).unwrap();
    let checked = Command::new("nginx")
        .arg("-e")
        .arg(folder.path().join("start.log"))
        .arg("-t")
        .arg("-c")
        .arg(&file)
        .output();
    let checked = match checked {
        Ok(checked) => checked,
        Err(error) => return crate::support::left_out("nginx", &error.to_string()),
    };
    assert!(checked.status.success(), "{}", text(&checked));
}
