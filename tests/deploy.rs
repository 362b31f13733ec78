//! What is handed to those who deploy: the image's files, the units, the proxy's configuration.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn deploy(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs/deploy")
        .join(name)
}

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
        "DynamicUser=",
        "StateDirectory=",
        "WorkingDirectory=",
        "EnvironmentFile=",
    ];
    for name in shared {
        let line = unit.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(
            script.contains(&format!("--property={line} ")),
            "{line}: {script}"
        );
    }
    let binary = unit.split("ExecStart=").nth(1).unwrap();
    let binary = binary.lines().next().unwrap();
    assert!(script.contains(&format!("{binary} \"$@\"")), "{script}");
    // A shell takes it, and hands every word on as it is.
    let told = script.replace("exec systemd-run", "printf '%s\n'");
    let output = Command::new("sh")
        .args(["-c", &told, "as-service", "roles", "grant", "a b"])
        .output()
        .unwrap();
    let words = text(&output);
    assert!(
        words.ends_with(&format!("{binary}\nroles\ngrant\na b\n")),
        "{words}"
    );
}

#[test]
fn the_images_files_are_all_that_the_binary_needs() {
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
