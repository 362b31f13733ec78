//! What can be shown of a file, by the ending of its name alone. What it is said to be then comes from this list and from
//! nowhere else, so a page that is called a picture is a broken picture.

use crate::files::send::Shown;

/// How a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Its beginning, as text.
    Text,
    /// `<img>`.
    Image(&'static str),
    /// A drawing that could hold scripts, which do not run in an `<img>`.
    Drawing,
    /// `<audio>`.
    Audio(&'static str),
    /// `<video>`.
    Video(&'static str),
    /// Not at all.
    Unknown,
}

/// Endings of what is text to a reader. What a browser would run is among them: as text it is harmless.
const TEXT: &[&str] = &[
    "bash", "bat", "c", "cc", "cfg", "conf", "cpp", "cs", "css", "csv", "diff", "go", "h", "hpp",
    "htm", "html", "ics", "ini", "java", "js", "json", "jsonl", "kt", "log", "lua", "md", "mjs",
    "patch", "php", "pl", "ps1", "py", "r", "rb", "rs", "rst", "sh", "sql", "srt", "tex", "text",
    "toml", "ts", "tsv", "txt", "vcf", "vtt", "xhtml", "xml", "yaml", "yml",
];

impl Kind {
    /// That of a file with this name.
    pub fn of(name: &str) -> Self {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let ending = ending.to_ascii_lowercase();
        match ending.as_str() {
            "png" => Self::Image("image/png"),
            "jpg" | "jpeg" => Self::Image("image/jpeg"),
            "gif" => Self::Image("image/gif"),
            "webp" => Self::Image("image/webp"),
            "avif" => Self::Image("image/avif"),
            "svg" => Self::Drawing,
            "mp3" => Self::Audio("audio/mpeg"),
            "wav" => Self::Audio("audio/wav"),
            "ogg" | "oga" | "opus" => Self::Audio("audio/ogg"),
            "flac" => Self::Audio("audio/flac"),
            "m4a" => Self::Audio("audio/mp4"),
            "aac" => Self::Audio("audio/aac"),
            "mp4" | "m4v" => Self::Video("video/mp4"),
            "webm" => Self::Video("video/webm"),
            "ogv" => Self::Video("video/ogg"),
            ending if TEXT.contains(&ending) => Self::Text,
            _ => Self::Unknown,
        }
    }

    /// Whether there is anything to look at.
    pub fn is_shown(self) -> bool {
        self != Self::Unknown
    }

    /// How its bytes are sent; `None` for what is shown without them.
    pub fn embedded(self) -> Option<Shown> {
        match self {
            Self::Image(content_type) | Self::Audio(content_type) | Self::Video(content_type) => {
                Some(Shown {
                    content_type,
                    alone: true,
                })
            }
            Self::Drawing => Some(Shown {
                content_type: "image/svg+xml",
                alone: false,
            }),
            Self::Text | Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_browser_would_run_is_sent_to_be_shown() {
        for name in [
            "a.html",
            "a.HTM",
            "a.xhtml",
            "a.xml",
            "a.js",
            "a.pdf",
            "a.swf",
            "a",
            "png",
            "a.png.html",
        ] {
            assert!(Kind::of(name).embedded().is_none(), "{name}");
        }
        let drawing = Kind::of("a.SVG").embedded();
        assert!(drawing.is_some_and(|shown| !shown.alone));
        assert_eq!(Kind::of("a.b.JPG"), Kind::Image("image/jpeg"));
    }
}
