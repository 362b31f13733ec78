//! What many handlers can answer, described once.

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

type Answers = BTreeMap<String, RefOr<Response>>;

/// What every address of the API can answer.
pub struct ForEverybody;

/// What everything for people who are signed in can answer.
pub struct ForSignedIn;

/// What everything for people with a role can answer.
pub struct ForRoles;

/// What a change can answer that only one's own pages may ask for.
pub struct ForTheirPages;

/// What a list can answer besides.
pub struct ForLists;

/// What a publication can answer besides.
pub struct ForPublications;

/// What a change, and a look at one thing, can answer besides.
pub struct ForChanges;

impl IntoResponses for ForChanges {
    fn responses() -> Answers {
        [
            problem(400, "The body is another JSON, or the query makes no sense"),
            problem(404, "There is no such thing, or this person may not see it"),
            problem(409, "The name is taken, or somebody else was quicker"),
            problem(412, "The content is not the one that If-Match names"),
            problem(413, "The body is too large"),
            problem(422, "A value cannot be taken as it is"),
            no_folder(),
            problem(507, "The disk is full"),
        ]
        .into()
    }
}

/// What an upload in pieces can answer besides.
pub struct ForUploads;

impl IntoResponses for ForUploads {
    fn responses() -> Answers {
        [
            problem(400, "A header of the tus protocol is missing or wrong, or the bytes stopped arriving"),
            problem(404, "There is no such upload or folder, or it is not this person's"),
            problem(409, "The bytes begin at another offset than the one reached, which is told; or the name is taken"),
            problem(410, "The upload is over"),
            problem(412, "Another version of the tus protocol than 1.0.0, or another file than the one to be replaced"),
            problem(413, "More bytes than are taken, or than the upload was said to have"),
            problem(415, "The bytes are not sent as application/offset+octet-stream"),
            problem(422, "The name, folder or title cannot be taken as it is"),
            problem(423, "Another connection writes this upload"),
            problem(429, "The person has too many unfinished uploads"),
            problem(460, "The bytes do not agree with their checksum"),
            no_folder(),
            problem(507, "The disk is full"),
        ]
        .into()
    }
}

/// What a zip can answer besides.
pub struct ForZips;

impl IntoResponses for ForZips {
    fn responses() -> Answers {
        [
            problem(400, "The form did not arrive whole"),
            problem(
                404,
                "Something in the selection is not there, or this person may not see it",
            ),
            problem(413, "The form is too long, or there are too many files"),
            problem(422, "Nothing is selected, or there is no file in it"),
            problem(429, "The person has too many downloads open"),
            no_folder(),
        ]
        .into()
    }
}

/// What can be answered where the files lie in object storage, by what needs a folder.
pub struct ForFolders;

impl IntoResponses for ForFolders {
    fn responses() -> Answers {
        [no_folder()].into()
    }
}

/// A file, or a part of it.
pub struct Sent;

impl IntoResponses for ForLists {
    fn responses() -> Answers {
        [
            problem(400, "The query makes no sense"),
            problem(
                404,
                "There is no such folder, or this person may not see it",
            ),
        ]
        .into()
    }
}

impl IntoResponses for ForPublications {
    fn responses() -> Answers {
        [
            problem(400, "The body is no complete form"),
            problem(
                404,
                "There is no such folder, or this person may not see it",
            ),
            problem(409, "A file by that name is there already"),
            problem(
                412,
                "The file to be replaced is not the one that If-Match names",
            ),
            problem(413, "The file, or a field of the form, is too large"),
            problem(422, "A field cannot be taken as it is"),
            problem(507, "The disk is full"),
        ]
        .into()
    }
}

impl IntoResponses for ForEverybody {
    fn responses() -> Answers {
        [
            problem(
                421,
                "The portal runs with a fake user and was not asked from its own machine",
            ),
            problem(500, "A mistake of the portal's"),
        ]
        .into()
    }
}

impl IntoResponses for ForSignedIn {
    fn responses() -> Answers {
        let mut answers = ForEverybody::responses();
        answers.extend([
            problem(401, "Nobody is signed in, or the session has ended"),
            problem(503, "The database does not answer; try again"),
        ]);
        answers
    }
}

impl IntoResponses for ForTheirPages {
    fn responses() -> Answers {
        [problem(
            403,
            "The request did not come from a page of the portal's",
        )]
        .into()
    }
}

impl IntoResponses for ForRoles {
    fn responses() -> Answers {
        let mut answers = ForSignedIn::responses();
        answers.extend([problem(
            403,
            "The person has no role or one that is too small, or the request came from elsewhere",
        )]);
        answers
    }
}

impl IntoResponses for Sent {
    fn responses() -> Answers {
        let bytes = |text: &str| {
            ResponseBuilder::new()
                .description(text)
                .content("*/*", ContentBuilder::new().build())
                .header("ETag", header("Strong validator"))
                .header(
                    "Content-Disposition",
                    header("`attachment` with the file's name"),
                )
                .header("Accept-Ranges", header("`bytes`"))
                .header(
                    "Repr-Digest",
                    header("SHA-256 of the whole file, where it is known (RFC 9530)"),
                )
        };
        let part = bytes("The part that was asked for")
            .header("Content-Range", header("Which part, and of how many bytes"));
        let unchanged = ResponseBuilder::new().description("The file is the one that you have");
        [
            ("200".to_owned(), bytes("The file").build().into()),
            ("206".to_owned(), part.build().into()),
            ("304".to_owned(), unchanged.build().into()),
            problem(404, "There is no such file, or this person may not see it"),
            problem(412, "The file has changed"),
            problem(416, "There is no such part of the file"),
            problem(429, "The person has too many downloads open"),
        ]
        .into()
    }
}

fn no_folder() -> (String, RefOr<Response>) {
    problem(
        501,
        "This portal keeps its files in object storage, where this is not offered",
    )
}

/// An error as problem+json, or as a page for whoever opens the address in a browser.
fn problem(status: u16, description: &str) -> (String, RefOr<Response>) {
    let schema = Ref::from_schema_name("Problem");
    let page = ObjectBuilder::new().schema_type(Type::String);
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .content(
            "text/html",
            ContentBuilder::new().schema(Some(page)).build(),
        )
        .build();
    (status.to_string(), response.into())
}

fn header(description: &str) -> utoipa::openapi::header::Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .description(Some(description))
        .build()
}
