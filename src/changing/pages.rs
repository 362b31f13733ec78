//! `/item` and below: what a file or folder is, and the forms that change it. Everything is shown before it is done.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError, web};
use askama::Template;
use serde::Deserialize;

use super::relocate::{self, Along, Eyes, Plan};
use super::{Goal, Refusal, Shown, folder, item, make, retitle};
use crate::app::State;
use crate::auth::user::{Editor, Reader};
use crate::clock;
use crate::error::{AppError, AppResult};
use crate::files::ItemPath;
use crate::files::incoming::human_size;
use crate::files::path::encode;
use crate::items::pages::{exact_size, folder_url};
use crate::items::{publish, stored};
use crate::page::{Page, html, see_other};
use crate::roles::Role;
use crate::trash;

/// Of what, in the address: the form's fields are in its body, so that the way back after a sign-in still names it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    path: String,
    /// What was done a moment ago.
    done: String,
}

impl Query {
    fn path(&self) -> AppResult<ItemPath> {
        ItemPath::parse(self.path.trim_matches('/')).ok_or(AppError::NotFound)
    }
}

/// What was typed, and whether it was confirmed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Form {
    folder: String,
    name: String,
    title: String,
    sure: bool,
}

impl Form {
    fn goal(&self) -> Goal {
        Goal {
            folder: self.folder.clone(),
            name: self.name.trim_matches('/').to_owned(),
        }
    }
}

/// A sentence beside a field.
#[derive(Debug)]
pub struct Problem {
    /// The field.
    pub field: &'static str,
    /// What to do.
    pub sentence: String,
}

#[derive(Template)]
#[template(path = "items/item.html")]
struct ItemPage {
    page: Page,
    name: String,
    encoded: String,
    folder: String,
    folder_href: String,
    href: String,
    is_folder: bool,
    is_link: bool,
    title: Option<String>,
    owner: Option<String>,
    size: String,
    size_exact: String,
    changed: String,
    changed_exact: String,
    sha256: Option<String>,
    downloads: i64,
    files: i64,
    may_change: bool,
    publish_href: String,
    kept_days: i64,
    notice: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "items/form.html")]
struct FormPage {
    page: Page,
    heading: &'static str,
    /// What it is about; a whole path.
    about: String,
    action: String,
    back: String,
    problem: Option<Problem>,
    /// Which fields the form has: `move`, `title` or `folder`.
    kind: &'static str,
    form: Form,
}

/// A page that asks before something is done.
#[derive(Template)]
#[template(path = "items/confirm.html")]
pub struct ConfirmPage {
    /// The frame.
    pub page: Page,
    /// The question.
    pub heading: &'static str,
    /// What is, and what would be.
    pub facts: Vec<(&'static str, String)>,
    /// What else to know.
    pub note: Option<String>,
    /// Where the answer goes.
    pub action: String,
    /// Where else.
    pub back: String,
    /// What was typed.
    pub fields: Vec<(&'static str, String)>,
    /// What the button says.
    pub button: &'static str,
    /// Whether it takes something away.
    pub is_danger: bool,
}

/// `GET /item`: what it is. People with a role; editors find there what they can do with it.
///
/// # Errors
/// 404 for what is not there or not to be seen.
pub async fn show(
    reader: Reader,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let path = query.path()?;
    let eyes = Eyes::of(&state, &reader.person).await?;
    let shown = item::asked(&state, &eyes, &path).await?;
    let may_change = reader.person.role >= Some(Role::Editor);
    html(&item_page(page, shown, may_change, notice(&query.done)))
}

/// `GET /item/move`: the form for another name or folder. Editors.
///
/// # Errors
/// 404.
pub async fn ask_move(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let (path, _) = found(&editor, &state, query).await?;
    let form = Form {
        folder: path.folder().map(|f| f.to_string()).unwrap_or_default(),
        name: path.name().to_owned(),
        ..Form::default()
    };
    html(&form_page(page, MOVE, &path, form, None))
}

/// `POST /item/move`: asks, then renames or moves. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404 for what is not there; what is not the form's fault.
pub async fn submit_move(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let (path, eyes) = found(&editor, &state, query).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let plan = match relocate::planned(&state, &eyes, &path, &form.goal()).await {
        Ok(plan) => plan,
        Err(refusal) => return again(page, MOVE, &path, form, refusal),
    };
    if !form.sure {
        return html(&confirm_move(page, &plan, &form));
    }
    match relocate::relocate(&state, &editor, &path, &form.goal(), Along::default()).await {
        Ok(shown) => Ok(see_other(&item_url(&shown.thing.path, "moved"))),
        Err(error) => again(page, MOVE, &path, form, error.into()),
    }
}

fn confirm_move(page: Page, plan: &Plan, form: &Form) -> ConfirmPage {
    let below = "Titles, owners, counts and checksums of everything below go along. Links that people kept to the old place stop working.";
    let note = match (plan.carries_rules, plan.thing.is_folder) {
        (true, _) => format!("The rules about who sees it go along as well. {below}"),
        (false, true) => below.to_owned(),
        (false, false) => {
            "Title, owner and count go along. Links that people kept to the old place stop working."
                .to_owned()
        }
    };
    ConfirmPage {
        page,
        heading: "Is this right?",
        facts: vec![
            ("Now", plan.thing.path.to_string()),
            ("Then", plan.to.to_string()),
        ],
        note: Some(note),
        action: url("/item/move", &plan.thing.path),
        back: url("/item/move", &plan.thing.path),
        fields: vec![("folder", form.folder.clone()), ("name", form.name.clone())],
        button: "Yes, do it",
        is_danger: false,
    }
}

/// `GET /item/title`: the form for another title. Editors.
///
/// # Errors
/// 404, also for a folder, which has no title.
pub async fn ask_title(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let (path, eyes) = found(&editor, &state, query).await?;
    let shown = file(&state, &eyes, &path).await?;
    let form = Form {
        title: shown.row.and_then(|row| row.title).unwrap_or_default(),
        ..Form::default()
    };
    html(&form_page(page, TITLE, &path, form, None))
}

/// `POST /item/title`: asks, then gives the title. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404; what is not the form's fault.
pub async fn submit_title(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let (path, eyes) = found(&editor, &state, query).await?;
    let shown = file(&state, &eyes, &path).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let title = match publish::title(&form.title) {
        Ok(title) => title,
        Err(error) => {
            let refusal = Refusal {
                field: "title",
                error,
            };
            return again(page, TITLE, &path, form, refusal);
        }
    };
    if form.sure {
        retitle(&state, &editor, &path, title, None).await?;
        return Ok(see_other(&item_url(&shown.thing.path, "titled")));
    }
    let none = || "no title".to_owned();
    html(&ConfirmPage {
        page,
        heading: "Is this right?",
        facts: vec![
            ("File", shown.thing.path.to_string()),
            (
                "Now",
                shown.row.and_then(|row| row.title).unwrap_or_else(none),
            ),
            ("Then", title.unwrap_or_else(none)),
        ],
        note: None,
        action: url("/item/title", &path),
        back: url("/item/title", &path),
        fields: vec![("title", form.title)],
        button: "Yes, do it",
        is_danger: false,
    })
}

/// `GET /item/folder`: the form for a new folder in the one that the address names; without a path in the root. Editors.
///
/// # Errors
/// 404.
pub async fn ask_folder(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    let above = above(&editor, &state, query).await?;
    html(&folder_page(page, above.as_ref(), Form::default(), None))
}

/// `POST /item/folder`: asks, then makes the folder. Editors. What cannot be taken comes back as the form.
///
/// # Errors
/// 404; what is not the form's fault.
pub async fn submit_folder(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
    form: Option<web::Form<Form>>,
) -> AppResult<HttpResponse> {
    let above = above(&editor, &state, query).await?;
    let form = form.map(web::Form::into_inner).unwrap_or_default();
    let goal = Goal {
        folder: above.as_ref().map(|f| f.to_string()).unwrap_or_default(),
        name: form.name.trim_matches('/').to_owned(),
    };
    let eyes = Eyes::of(&state, &editor.person).await?;
    let made = match (folder::planned(&state, &eyes, &goal).await, form.sure) {
        (Ok(path), false) => {
            return html(&ConfirmPage {
                page,
                heading: "Make this folder?",
                facts: vec![("Folder", path.to_string())],
                note: None,
                action: folder_action(above.as_ref()),
                back: folder_action(above.as_ref()),
                fields: vec![("name", form.name)],
                button: "Yes, make it",
                is_danger: false,
            });
        }
        (Ok(_), true) => make(&state, &editor, &goal).await.map_err(Refusal::from),
        (Err(refusal), _) => Err(refusal),
    };
    match made {
        Ok(shown) => Ok(see_other(&folder_url(Some(&shown.thing.path)))),
        Err(refusal) => {
            let (status, problem) = told(refusal, "name")?;
            with_status(
                &folder_page(page, above.as_ref(), form, Some(problem)),
                status,
            )
        }
    }
}

/// `GET /item/delete`: asks. Editors.
///
/// # Errors
/// 404; 409 for a folder with rules, unless an admin asks.
pub async fn ask_delete(
    editor: Editor,
    page: Page,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    if let Some(storage) = state.files.storage() {
        let path = query
            .map(web::Query::into_inner)
            .unwrap_or_default()
            .path()?;
        stored::found(&state, storage, &editor, &path).await?;
        return html(&confirm_for_good(page, &path));
    }
    let (path, eyes) = found(&editor, &state, query).await?;
    let shown = item::asked(&state, &eyes, &path).await?;
    relocate::carries_rules(&eyes, &shown.thing)?;
    let mut facts = vec![("Now", shown.thing.path.to_string())];
    if shown.thing.is_folder {
        facts.push(("With it", files_in_words(&shown)));
    }
    facts.push((
        "Then",
        format!(
            "in the trash for {} days, and nowhere else",
            trash::KEPT_DAYS
        ),
    ));
    html(&ConfirmPage {
        page,
        heading: "Delete this?",
        facts,
        note: Some("It can be brought back from the trash, with title, owner and count. Until then nobody can download it.".to_owned()),
        action: url("/item/delete", &path),
        back: url("/item", &path),
        fields: Vec::new(),
        button: "Yes, delete it",
        is_danger: true,
    })
}

/// In object storage there is no trash.
fn confirm_for_good(page: Page, path: &ItemPath) -> ConfirmPage {
    ConfirmPage {
        page,
        heading: "Delete this for good?",
        facts: vec![
            ("Now", path.to_string()),
            ("Then", "gone for everybody".to_owned()),
        ],
        note: Some("This portal keeps its files in object storage, which has no trash.".to_owned()),
        action: url("/item/delete", path),
        back: folder_url(path.folder().as_ref()),
        fields: Vec::new(),
        button: "Yes, delete it",
        is_danger: true,
    }
}

/// `POST /item/delete`: puts it into the trash, then shows the folder. Editors.
///
/// # Errors
/// 404; 409 for a folder with rules, unless an admin deletes it.
pub async fn submit_delete(
    editor: Editor,
    state: web::Data<State>,
    query: Option<web::Query<Query>>,
) -> AppResult<HttpResponse> {
    if let Some(storage) = state.files.storage() {
        let path = query
            .map(web::Query::into_inner)
            .unwrap_or_default()
            .path()?;
        stored::delete(&state, storage, &editor, &path, None).await?;
        return Ok(see_other(&folder_url(path.folder().as_ref())));
    }
    let (path, _) = found(&editor, &state, query).await?;
    let entry = trash::delete(&state, &editor, &path, None).await?;
    let folder = trash::origin(&entry)?.folder();
    Ok(see_other(&folder_url(folder.as_ref())))
}

/// Heading, address and fields of a form.
type Kind = (&'static str, &'static str, &'static str);
const MOVE: Kind = ("Rename or move", "/item/move", "move");
const TITLE: Kind = ("Change the title", "/item/title", "title");

async fn found(
    editor: &Editor,
    state: &State,
    query: Option<web::Query<Query>>,
) -> AppResult<(ItemPath, Eyes)> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let eyes = Eyes::of(state, &editor.person).await?;
    let thing = item::find(state, &eyes.sight, &query.path()?).await?;
    Ok((thing.path, eyes))
}

async fn file(state: &State, eyes: &Eyes, path: &ItemPath) -> AppResult<Shown> {
    let shown = item::asked(state, eyes, path).await?;
    match shown.thing.is_folder {
        true => Err(AppError::NotFound),
        false => Ok(shown),
    }
}

/// The folder in which another one shall be made; `None` is the root.
async fn above(
    editor: &Editor,
    state: &State,
    query: Option<web::Query<Query>>,
) -> AppResult<Option<ItemPath>> {
    let query = query.map(web::Query::into_inner).unwrap_or_default();
    let eyes = Eyes::of(state, &editor.person).await?;
    if query.path.trim_matches('/').is_empty() {
        return match eyes.sight.shows("") {
            true => Ok(None),
            false => Err(AppError::NotFound),
        };
    }
    let thing = item::find(state, &eyes.sight, &query.path()?).await?;
    match thing.is_folder {
        true => Ok(Some(thing.path)),
        false => Err(AppError::NotFound),
    }
}

fn item_page(page: Page, shown: Shown, may_change: bool, notice: Option<&'static str>) -> ItemPage {
    let now = clock::now();
    let sha256 = shown.sha256().map(str::to_owned);
    let thing = &shown.thing;
    let bytes = match thing.is_folder {
        true => shown.inside.bytes,
        false => thing.size,
    };
    let bytes = u64::try_from(bytes).unwrap_or(0);
    let folder = thing.path.folder();
    let publish_folder = match thing.is_folder {
        true => Some(thing.path.clone()),
        false => folder.clone(),
    };
    let publish_folder = publish_folder.map(|f| f.to_string()).unwrap_or_default();
    ItemPage {
        page,
        name: thing.path.name().to_owned(),
        encoded: encode(thing.path.as_str()),
        folder_href: folder_url(folder.as_ref()),
        folder: folder.map(|f| f.to_string()).unwrap_or_default(),
        href: match thing.is_folder {
            true => folder_url(Some(&thing.path)),
            false => thing.path.download_url(),
        },
        is_folder: thing.is_folder,
        is_link: thing.is_link,
        size: human_size(bytes),
        size_exact: exact_size(bytes),
        changed: clock::ago(thing.modified_at, now),
        changed_exact: clock::rfc3339(thing.modified_at),
        sha256,
        files: shown.inside.files,
        may_change,
        publish_href: match thing.is_folder {
            true => format!("/publish?folder={}", encode(&publish_folder)),
            false => format!("/publish?folder={}&overwrite=true", encode(&publish_folder)),
        },
        kept_days: trash::KEPT_DAYS,
        notice,
        downloads: shown.row.as_ref().map_or(0, |row| row.downloads),
        owner: shown.row.as_ref().and_then(|row| row.owner.clone()),
        title: shown.row.and_then(|row| row.title),
    }
}

fn form_page(
    page: Page,
    (heading, action, kind): Kind,
    path: &ItemPath,
    form: Form,
    problem: Option<Problem>,
) -> FormPage {
    FormPage {
        page,
        heading,
        about: path.to_string(),
        action: url(action, path),
        back: url("/item", path),
        problem,
        kind,
        form,
    }
}

fn folder_page(
    page: Page,
    above: Option<&ItemPath>,
    form: Form,
    problem: Option<Problem>,
) -> FormPage {
    FormPage {
        page,
        heading: "New folder",
        about: above.map(ToString::to_string).unwrap_or_default(),
        action: folder_action(above),
        back: folder_url(above),
        problem,
        kind: "folder",
        form,
    }
}

fn again(
    page: Page,
    kind: Kind,
    path: &ItemPath,
    form: Form,
    refusal: Refusal,
) -> AppResult<HttpResponse> {
    let (status, problem) = told(refusal, "name")?;
    with_status(&form_page(page, kind, path, form, Some(problem)), status)
}

/// The status and the sentence beside a field.
///
/// # Errors
/// What is not the form's fault.
pub fn told(refusal: Refusal, usual: &'static str) -> AppResult<(StatusCode, Problem)> {
    let Refusal { field, error } = refusal;
    let status = error.status_code();
    let sentence = match error {
        // The thing itself is not there (any more): no form can mend that.
        AppError::NotFound if field.is_empty() => return Err(AppError::NotFound),
        AppError::NotFound if field == "folder" => {
            "There is no such folder for you. Make it first, or choose another.".to_owned()
        }
        AppError::NotFound => "That name cannot be used here. Choose another.".to_owned(),
        AppError::Unprocessable(sentence) | AppError::Conflict(sentence) => sentence,
        error => return Err(error),
    };
    let field = if field.is_empty() { usual } else { field };
    Ok((status, Problem { field, sentence }))
}

/// A page under another status than 200.
///
/// # Errors
/// 500 when the template fails.
pub fn with_status(view: &impl Template, status: StatusCode) -> AppResult<HttpResponse> {
    let mut response = html(view)?;
    *response.status_mut() = status;
    Ok(response)
}

fn files_in_words(shown: &Shown) -> String {
    let size = human_size(u64::try_from(shown.inside.bytes).unwrap_or(0));
    match shown.inside.files {
        0 => "no files".to_owned(),
        1 => format!("1 file, {size}"),
        files => format!("{files} files, {size}"),
    }
}

fn url(page: &str, path: &ItemPath) -> String {
    format!("{page}?path={}", encode(path.as_str()))
}

fn item_url(path: &ItemPath, done: &str) -> String {
    format!("{}&done={done}", url("/item", path))
}

fn folder_action(above: Option<&ItemPath>) -> String {
    let path = above.map_or("", ItemPath::as_str);
    format!("/item/folder?path={}", encode(path))
}

/// What a page says on top once something was done: the address names it, and the sentence stands here alone.
fn notice(done: &str) -> Option<&'static str> {
    match done {
        "moved" => Some("It has its new place."),
        "titled" => Some("The title was changed."),
        "restored" => Some("It is back."),
        _ => None,
    }
}
