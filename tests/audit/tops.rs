//! Most downloads where there are very many: what was counted is shown for a while, instead of counted at every look.

use portcullis::audit::daily;
use portcullis::audit::tops::Tops;
use portcullis::clock;

use crate::support::on_both;

on_both! {
    async fn few_figures_are_added_up_at_every_look_and_many_are_kept_for_a_minute(app: TestApp) {
        let today = clock::day(clock::now());
        let tops = Tops::default();
        let first = async || {
            let tops = tops.of(&app.db, daily::FILE, (today, 90), 3).await.unwrap();
            tops.first().map(|top| (top.name.clone(), top.events))
        };
        let add = async |name: &str, events: i64| {
            app.execute(&format!("INSERT INTO dim.audit_daily (fact, day, name, events, bytes) VALUES ('file', {today}, '{name}', {events}, 1)")).await;
        };
        assert_eq!(first().await, None);
        add("a", 100).await;
        assert_eq!(first().await, Some(("a".to_owned(), 100)));
        add("b", 200).await;
        assert_eq!(first().await, Some(("b".to_owned(), 200)), "few are counted anew");
        app.execute(&format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20001)
            INSERT INTO dim.audit_daily (fact, day, name, events, bytes) SELECT 'file', {today} - i % 90, 'n' || i, 1, 1 FROM n")).await;
        assert_eq!(first().await, Some(("b".to_owned(), 200)));
        add("c", 300).await;
        assert_eq!(first().await, Some(("b".to_owned(), 200)), "many are not");
        let other = tops.of(&app.db, daily::FILE, (today, 30), 3).await.unwrap();
        assert_eq!(other[0].name, "c", "thirty days are another question");
    }
}
