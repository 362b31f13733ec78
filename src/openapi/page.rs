//! `/docs`: the description as a page, made on the server from the same document. No script, nothing from elsewhere.

use askama::Template;
use serde_json::Value;
use utoipa::openapi::OpenApi;

use crate::page::Page;

/// The page.
#[derive(Template)]
#[template(path = "docs.html")]
pub struct Docs {
    page: Page,
    about: String,
    groups: Vec<Group>,
    shapes: Vec<Shape>,
}

/// Addresses that belong together.
struct Group {
    name: String,
    about: String,
    operations: Vec<Operation>,
}

/// What can be asked for at an address.
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    about: String,
    is_public: bool,
    parameters: Vec<Field>,
    body_kind: String,
    body: Vec<Field>,
    answers: Vec<Answer>,
}

struct Field {
    name: String,
    /// What kind of value, and where it stands.
    kind: String,
    is_needed: bool,
    about: String,
}

struct Answer {
    status: String,
    about: String,
    /// Content types with the shape that each has; empty where it has none.
    bodies: Vec<(String, String)>,
}

/// A schema with a name.
struct Shape {
    name: String,
    about: String,
    fields: Vec<Field>,
    example: String,
}

impl Docs {
    /// The page of a document.
    pub fn of(page: Page, document: &OpenApi) -> Self {
        // What is missing on the way reads as null, and null as nothing.
        let document = serde_json::to_value(document).unwrap_or_default();
        let tags = array(&document["tags"]);
        let schemas = &document["components"]["schemas"];
        Self {
            page,
            about: text(&document["info"]["description"]),
            groups: tags.iter().map(|tag| group(tag, &document)).collect(),
            shapes: entries(schemas)
                .map(|(name, schema)| shape(name, schema))
                .collect(),
        }
    }
}

fn group(tag: &Value, document: &Value) -> Group {
    let name = text(&tag["name"]);
    let mut operations = Vec::new();
    for (path, methods) in entries(&document["paths"]) {
        for (method, operation) in entries(methods) {
            if array(&operation["tags"])
                .iter()
                .any(|tag| text(tag) == name)
            {
                operations.push(described(path, method, operation, document));
            }
        }
    }
    Group {
        name,
        about: text(&tag["description"]),
        operations,
    }
}

fn described(path: &str, method: &str, operation: &Value, document: &Value) -> Operation {
    let parameters = array(&operation["parameters"]).iter().map(|parameter| {
        let place = text(&parameter["in"]);
        Field {
            kind: format!("{} in the {place}", kind(&parameter["schema"])),
            ..field(
                &text(&parameter["name"]),
                parameter,
                parameter["required"] == true,
            )
        }
    });
    let (body_kind, body) = entries(&operation["requestBody"]["content"])
        .next()
        .map(|(kind, body)| (kind.to_owned(), fields(resolved(&body["schema"], document))))
        .unwrap_or_default();
    Operation {
        id: format!("{method}{}", path.replace(['/', '{', '}'], "-")),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]),
        about: text(&operation["description"]),
        is_public: array(&operation["security"]).is_empty(),
        parameters: parameters.collect(),
        body_kind,
        body,
        answers: entries(&operation["responses"]).map(answer).collect(),
    }
}

fn answer((status, answer): (&str, &Value)) -> Answer {
    // What errors look like is the same everywhere, and said once.
    let is_error = |kind: &str| ["text/html", "application/problem+json"].contains(&kind);
    let bodies = entries(&answer["content"]).filter(|(kind, _)| !is_error(kind));
    Answer {
        status: status.to_owned(),
        about: text(&answer["description"]),
        bodies: bodies
            .map(|(kind, body)| (kind.to_owned(), name_of(&body["schema"])))
            .collect(),
    }
}

fn shape(name: &str, schema: &Value) -> Shape {
    let example = &schema["example"];
    Shape {
        name: name.to_owned(),
        about: text(&schema["description"]),
        fields: fields(schema),
        example: match example {
            Value::Null => String::new(),
            example => serde_json::to_string_pretty(example).unwrap_or_default(),
        },
    }
}

fn fields(schema: &Value) -> Vec<Field> {
    let needed = array(&schema["required"]);
    entries(&schema["properties"])
        .map(|(name, property)| {
            let is_needed = needed.iter().any(|needed| needed == name);
            field(name, property, is_needed)
        })
        .collect()
}

fn field(name: &str, property: &Value, is_needed: bool) -> Field {
    Field {
        name: name.to_owned(),
        kind: kind(property),
        is_needed,
        about: text(&property["description"]),
    }
}

/// `string`, `integer or null`, `list of Item`.
fn kind(schema: &Value) -> String {
    let name = name_of(schema);
    if !name.is_empty() {
        return name;
    }
    match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(text).collect();
            kinds.join(" or ")
        }
        _ => "value".to_owned(),
    }
}

/// Name of the shape that is referred to, by itself or as a list.
fn name_of(schema: &Value) -> String {
    let last = |reference: &Value| {
        let reference = reference.as_str().unwrap_or("");
        reference.rsplit('/').next().unwrap_or("").to_owned()
    };
    match &schema["items"] {
        Value::Null => last(&schema["$ref"]),
        items => format!("list of {}", kind(items)),
    }
}

fn resolved<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(_) => &document["components"]["schemas"][name_of(schema)],
        None => schema,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = value.as_object();
    object
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}
