//! `portcullis doctor`: one line a look, with what to do; exit code 1 when something does not work.

use clap::Args;

use super::print;
use crate::auth::entra::Entra;
use crate::db::Db;
use crate::doctor::{self, Finding, Level};
use crate::settings::{DatabaseSettings, Problems, Settings, Variables};

/// How to tell it.
#[derive(Args)]
pub struct Doctor {
    /// A JSON array instead of lines, alone on standard output.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks at everything. Settings that are wrong do not keep it from looking at the rest.
    pub fn run(self, variables: &Variables, problems: Problems) -> Result<(), String> {
        let runtime = super::runtime()?;
        let findings = runtime.block_on(async {
            match Settings::read(variables, problems) {
                Ok(settings) => whole(&settings).await,
                Err(problems) => without_settings(variables, &problems).await,
            }
        })?;
        // A look at a disk that hangs never ends, and the command has to.
        runtime.shutdown_background();
        match self.json {
            true => {
                let json = serde_json::to_string_pretty(&findings);
                print::line(&json.map_err(|error| error.to_string())?)?;
            }
            false => print(&findings)?,
        }
        let failed = findings.iter().filter(|f| f.level == Level::Fail).count();
        match failed {
            0 => Ok(()),
            1 => Err("1 check failed.".to_owned()),
            _ => Err(format!("{failed} checks failed.")),
        }
    }
}

async fn whole(settings: &Settings) -> Result<Vec<Finding>, String> {
    let entra = entra(settings)?;
    let mut findings = vec![Finding::ok("settings", "every setting is understood")];
    let db = open(&settings.database).map_err(|finding| findings.push(finding));
    let db = db.ok();
    findings.extend(doctor::examine(settings, db.as_ref(), entra.as_ref()).await);
    if let Some(db) = db {
        db.close();
    }
    Ok(findings)
}

async fn without_settings(
    variables: &Variables,
    problems: &Problems,
) -> Result<Vec<Finding>, String> {
    let wrong = problems.iter().map(|problem| {
        Finding::fail(
            "settings",
            format!("{} {}", problem.variable, problem.sentence),
            format!(
                "correct {}; the README's settings table explains it",
                problem.variable
            ),
        )
    });
    let mut findings: Vec<Finding> = wrong.collect();
    findings.extend(what_is_right(variables, problems).await?);
    if let Ok(settings) = DatabaseSettings::read(variables, Problems::default()) {
        match open(&settings) {
            Ok(db) => {
                findings.extend(doctor::database(&db).await);
                db.close();
            }
            Err(finding) => findings.push(finding),
        }
    }
    Ok(findings)
}

/// What can be looked at although some settings are wrong: sign-in and files, where none of their own is. No default takes
/// the place of a wrong value here, because a secret could go to somebody whom nobody named.
async fn what_is_right(variables: &Variables, problems: &Problems) -> Result<Vec<Finding>, String> {
    let wrong: Vec<&str> = problems.iter().map(|p| p.variable.as_str()).collect();
    let Ok(settings) = Settings::read(&variables.without(&wrong), Problems::default()) else {
        return Ok(Vec::new());
    };
    let is_any_wrong = |beginnings: &[&str]| {
        let mut begins = beginnings.iter();
        begins.any(|beginning| wrong.iter().any(|name| name.starts_with(beginning)))
    };
    let mut findings = Vec::new();
    let knows_redirect_uri = variables.get("APP_REG_REDIRECT_URI").is_some();
    if knows_redirect_uri && !is_any_wrong(&["AZURE_", "APP_REG_", "DEV_MODE", "TEST_MODE"]) {
        let entra = entra(&settings)?;
        findings.extend(doctor::sign_in(&settings, entra.as_ref()).await);
    }
    if !is_any_wrong(&["FILES_", "AZURE_", "AWS_"]) {
        findings.extend(doctor::files(&settings).await);
    }
    Ok(findings)
}

fn entra(settings: &Settings) -> Result<Option<Entra>, String> {
    match &settings.entra {
        Some(entra) => Entra::new(entra, &settings.web.redirect_uri),
        None => Ok(None),
    }
}

/// A look must not make the file: the first start tells by it that everything is new.
fn open(settings: &DatabaseSettings) -> Result<Db, Finding> {
    const CHECK: &str = "database";
    if let DatabaseSettings::Sqlite { path, .. } = settings
        && !path.exists()
    {
        return Err(Finding::warn(
            CHECK,
            format!("{} is not there yet", path.display()),
            "start the portal, or run `portcullis migrate`, to make it",
        ));
    }
    Db::open(settings).map_err(|cause| Finding::fail(CHECK, cause, "correct DATABASE_URL"))
}

fn print(findings: &[Finding]) -> Result<(), String> {
    for finding in findings {
        let level = finding.level.as_str();
        print::line(&format!(
            "{level:<5} {:<17} {}",
            finding.check, finding.says
        ))?;
        if let Some(cure) = &finding.cure {
            print::line(&format!("{:23} → {cure}", ""))?;
        }
    }
    Ok(())
}
