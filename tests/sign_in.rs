//! Signing in and out, against the emulator, for both credentials, and each way of being refused.

use crate::support::on_both;
use portcullis::roles::Role;

on_both! {
    async fn a_person_signs_in_and_is_who_entra_says(app: TestApp) {
        app.grant("ada.byron@contoso.example", Role::Reader).await;
        let browser = app.visitor();
        let me = app.sign_in(&browser, "ada.byron@contoso.example", "/api/me").await.expect(200).json();
        assert_eq!(me["email"], "ada.byron@contoso.example");
        assert_eq!(me["role"], "reader");
        assert!(me["expires_at"].is_string());
    }
}
