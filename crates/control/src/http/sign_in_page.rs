//! A failure below `/sign-in/`, as a page: a person's browser is there, and nothing of ours runs in it.

use axum::response::{IntoResponse, Response};
use creel_api::Problem;

use super::web::file;

const PAGE: &str = include_str!("../web/sign-in.html");

/// Whether people, not programs, open this address.
pub(super) fn is_for_people(path: &str) -> bool {
    path.starts_with("/sign-in/")
}

pub(super) fn page(problem: &Problem) -> Response {
    let request = problem.request_id.as_deref().unwrap_or_default();
    let page = PAGE
        .replace("{title}", &escaped(&problem.title))
        .replace("{code}", problem.code.as_str())
        .replace("{request}", &escaped(request))
        // Last: what stands in it is taken for nothing else.
        .replace("{detail}", &escaped(&problem.detail));
    file("text/html; charset=utf-8", page).into_response()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use creel_api::ErrorCode;

    use super::*;

    #[test]
    fn what_somebody_else_says_is_text() {
        assert_eq!(escaped("<b a=\"'\">&"), "&lt;b a=&quot;&#39;&quot;&gt;&amp;");
        let response = page(&Problem::new(ErrorCode::SsoDenied, "<script>{title}"));
        assert!(response.headers().contains_key("content-security-policy"));
    }
}
