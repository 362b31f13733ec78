//! The heading and the sentence of each error.

use super::AppError;

impl AppError {
    pub(super) fn words(&self) -> (&'static str, String) {
        let (heading, sentence) = match self {
            Self::SignInNeeded => (
                "Please sign in",
                "This is only for people who are signed in. Sign in, and you come right back here.",
            ),
            Self::NoRole => (
                "You are signed in, but have no access yet",
                "Your address has no role in this portal. Ask an administrator of the portal, or the person who gave you \
                 the link, to add it. If you have another work account, use that one.",
            ),
            Self::OtherAccount => (
                "This address belongs to another account",
                "Your address has a role here, but it was used with another Microsoft account before. Addresses change hands, \
                 so an administrator of the portal has to confirm that it is yours now. If you have another work account, use that one.",
            ),
            Self::RoleNeeded(role) => {
                return (
                    "This needs another role",
                    format!(
                        "This part of the portal is for people with the role {role}. \
                         Ask an administrator of the portal if you should have it."
                    ),
                );
            }
            Self::CrossSite => (
                "That request came from elsewhere",
                "Another site, or no page at all, sent this, so nothing was done. Open the portal and do it from there.",
            ),
            Self::NotFound => (
                "There is nothing here",
                "The address may be mistyped, or the file was moved or removed. Look for it in the list of files.",
            ),
            Self::MethodNotAllowed(_) => (
                "That cannot be done here",
                "This address does not take that kind of request. Go back to the list of files.",
            ),
            Self::Unusable(sentence) => {
                return ("The portal cannot use that request", sentence.clone());
            }
            Self::Unprocessable(sentence) => {
                return ("That cannot be taken as it is", sentence.clone());
            }
            Self::Conflict(sentence) => return ("That name is taken", sentence.clone()),
            Self::TooLarge(sentence) => return ("That is too large", sentence.clone()),
            Self::TooMany(wait) => {
                return (
                    "Too many tries",
                    format!(
                        "There were too many sign-ins from your network in a short time. Try again in {} seconds.",
                        wait.as_secs().max(1)
                    ),
                );
            }
            Self::TooManyDownloads(most) => {
                return (
                    "Too many downloads at once",
                    format!(
                        "You have {most} downloads open, which is as many as one person may have. \
                         Wait until some of them have ended, or cancel them, and try again."
                    ),
                );
            }
            Self::ZipsFull => (
                "Too many zips are on their way",
                "The portal sends only so many large zips at a time, so that there is room for everybody. Wait until yours \
                 have ended, try again in a few minutes, or download fewer files at once.",
            ),
            Self::Gone => (
                "That upload is over",
                "Nothing came for a day, so what had arrived was removed. Begin the upload again.",
            ),
            Self::WrongOffset(offset) => {
                return (
                    "The upload is at another place",
                    format!(
                        "{offset} bytes have arrived, and these do not follow them. Ask for the offset (HEAD) and go on there."
                    ),
                );
            }
            Self::WrongChecksum => (
                "Those bytes are not what was sent",
                "They do not agree with their checksum, so none of them was kept. Send them again.",
            ),
            Self::InUse => (
                "That upload is being written",
                "Another connection sends its bytes at this moment, or did so a few seconds ago. Try again in a moment.",
            ),
            Self::TusVersion => (
                "That is another version of the protocol",
                "Uploads in pieces follow tus 1.0.0; send the header Tus-Resumable: 1.0.0.",
            ),
            Self::WrongKind(sentence) => {
                return ("That kind of content is not taken here", sentence.clone());
            }
            Self::TooManyUploads(most) => {
                return (
                    "Too many unfinished uploads",
                    format!(
                        "One person may have {most} that are not finished, and with this one you would have more. \
                         Finish or cancel some of them; what is left alone for a day goes by itself."
                    ),
                );
            }
            Self::Changed => (
                "The file has changed",
                "It is not the one that was asked for any more, and nothing was changed. Download it again, or look at it as it is now.",
            ),
            Self::BeingWritten => (
                "The file is being written",
                "It changed at the very moment when it was to be sent. Try again when it is complete.",
            ),
            Self::Range(_, sentence) => ("That part of the file does not exist", *sentence),
            Self::NoSpace => (
                "No space is left",
                "The portal's disk is full, so the file was not taken. What was there is unchanged. \
                 Tell the people who run the portal.",
            ),
            Self::Unreadable(_) => (
                "The portal cannot get at that",
                "It is there, but the portal has no right to read or write it. Nothing was changed. Tell the people \
                 who run the portal the reference below.",
            ),
            Self::FilesAway(_) => (
                "The files are not there just now",
                "The place where the portal keeps them is empty or is another one than before, as happens when a network \
                 share is not mounted. Nothing is lost. Try again later, and tell the people who run the portal.",
            ),
            Self::StorageAway(_) => (
                "The files cannot be reached just now",
                "The storage that holds them does not answer the portal as it should. Nothing that was there is lost. \
                 Try again in a minute; if it goes on, tell the people who run the portal the reference below.",
            ),
            Self::NeedsFolder => (
                "That is not offered here",
                "This portal keeps its files in object storage, where files can be listed, searched, downloaded, \
                 published and deleted, and nothing else.",
            ),
            Self::Misdirected => (
                "The fake user lives on this machine only",
                "In development mode the portal answers only to localhost, without proxies or tunnels. \
                 Open it as http://localhost.",
            ),
            Self::Prefetch => (
                "Not in advance",
                "This happens only when you click. Follow the link again.",
            ),
            Self::SignInLost(_) => (
                "That sign-in cannot be finished",
                "It took longer than three minutes, was already used, or began in another browser. Start again; it takes a moment.",
            ),
            Self::SignInRefused(refusal, _) => {
                return ("You were not signed in", refusal.sentence.to_owned());
            }
            Self::Restarting => (
                "The portal is being restarted",
                "It begins no new sign-ins for a moment. Try again in a few seconds.",
            ),
            Self::NotConfigured => (
                "Signing in is not set up yet",
                "The setting APP_REG_CLIENT_ID is empty, so the portal stays closed. Whoever runs it sets it to the \
                 Application (client) ID of its app registration, and starts the portal again.",
            ),
            Self::AuthorityAway(_) => (
                "Microsoft cannot be reached",
                "The portal cannot reach Microsoft's sign-in just now. Try again in a minute.",
            ),
            Self::DatabaseAway(_) => (
                "The portal is resting for a moment",
                "Its database does not answer, so nobody can be let in. Try again in a few seconds; downloads that run go on.",
            ),
            Self::SignOutPending(_) => (
                "You are signed out in this browser",
                "The portal's database does not answer just now. Your session ends everywhere else as soon as it is back; \
                 until then nobody can use it, because the portal is closed.",
            ),
            Self::Internal(_) => (
                "Something went wrong on our side",
                "It is not your fault, and it has been written down. Try again; if it happens again, tell the people \
                 who run the portal the reference below.",
            ),
        };
        (heading, sentence.to_owned())
    }
}
