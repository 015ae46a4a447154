//! What people see in place of an agent's page: small, whole in one answer, readable by everybody.

use crate::refusal::Refusal;

pub(crate) const HTML: &str = "text/html; charset=utf-8";
/// No script but the waiting page's own, and nothing from elsewhere.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The same, with the one script that the waiting page has.
pub(crate) const WAITING_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const FRAME: &str = include_str!("pages/frame.html");
const WAITING: &str = include_str!("pages/waiting.html");

pub(crate) fn refusal(refusal: &Refusal) -> String {
    let main = format!(
        "<h1>{}</h1>\n<p>{}</p>\n<p class=\"code\">{} · {}</p>",
        escaped(&refusal.title),
        escaped(&refusal.detail),
        refusal.status.as_u16(),
        escaped(&refusal.code),
    );
    framed(&refusal.title, "", &main)
}

/// Turns into the page by itself: `alive` is the address that answers when it is there.
pub(crate) fn waiting(name: &str, why: &str, alive: &str) -> String {
    let main = WAITING
        .replace("{alive}", &escaped(alive))
        .replace("{why}", &escaped(why))
        .replace("{name}", &escaped(name));
    // Without scripts it looks again now and then.
    let head = "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>";
    framed(&format!("{name} is waking up"), head, &main)
}

fn framed(title: &str, head: &str, main: &str) -> String {
    let page = FRAME.replace("{head}", head).replace("{title}", &escaped(title));
    // Last: what stands in it is taken for nothing else.
    page.replace("{main}", main)
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
            '{' => out.push_str("&#123;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_says_is_text() {
        let page = waiting("<b>", "{main}<script>", "/.creel/waiting?a=\"b\"");
        assert!(!page.contains("<b>") && !page.contains("<script>{") && !page.contains("{main}"));
        assert!(
            page.contains("&lt;b&gt;") && page.contains("&#123;main}"),
            "{page}"
        );
        let page = refusal(&Refusal::port_closed(3000));
        assert!(page.contains("port 3000") && page.contains("lang=\"en\""));
    }

    #[test]
    fn nothing_is_asked_of_anybody_else() {
        for page in [FRAME, WAITING] {
            assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("src="));
        }
    }
}
