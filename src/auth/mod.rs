//! Who is asking: sign-in with Entra, the session cookie, the gate in front of everything, and the extractors behind it.

pub mod client;
pub mod entra;
pub mod flow;
pub mod gate;
pub mod handlers;
pub mod kept_form;
pub mod keyring;
pub mod me;
pub mod origin;
pub mod recent;
pub mod return_to;
pub mod session;
pub mod store;
pub mod user;
