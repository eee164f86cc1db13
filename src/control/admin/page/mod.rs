//! The page for people, which asks `/api/status` and its like for what it shows.
//!
//! Owns: its parts, one file each, put together as the program is built. Whole in itself: nothing
//! comes from elsewhere, and nothing but its own script runs. Never: a name or a number; the script
//! makes text of them, so they cannot become markup.

use crate::control::actions::random_word;

use super::answer::Answer;

const HTML: &str = include_str!("page.html");

const STYLE: &str = include_str!("page.css");

/// One scope of its own, in the order in which the parts need each other.
const SCRIPT: &str = concat!(
    "\"use strict\";\n{\n",
    include_str!("build.js"),
    include_str!("charts.js"),
    include_str!("pools.js"),
    include_str!("slow.js"),
    include_str!("actions.js"),
    include_str!("page.js"),
    "}\n",
);

/// The page, with a word of its own for this answer: style and script that do not know it are not
/// used by the browser.
pub(super) fn answer() -> Answer {
    let nonce = random_word();
    let page = HTML
        .replace("{nonce}", &nonce)
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT);
    Answer::page(page, policy(&nonce))
}

fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_no_markup_from_text_no_handler_and_nothing_from_elsewhere() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
        for forbidden in [
            " onclick=",
            " onload=",
            " style=",
            "src=",
            "@import",
            "url(",
        ] {
            assert!(!HTML.contains(forbidden), "{forbidden}");
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
        let elsewhere = SCRIPT.replace("http://www.w3.org/2000/svg", "");
        for text in [HTML, STYLE, &elsewhere] {
            assert!(!text.contains("//www") && !text.contains("://"), "{text}");
        }
        // It would end the script, or the style.
        assert!(!SCRIPT.contains("</") && !STYLE.contains('<'));
    }
}
