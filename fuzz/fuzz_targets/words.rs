//! Short words from callers and guests: what is taken has one spelling, and it is taken again.
#![no_main]

use std::{fmt::Display, str::FromStr};

use creel_domain::{AgentId, ModelName, Name, SessionName, TurnId};
use creel_models::{BaseUrl, ProviderKind};
use creel_policy::Destination;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    one_spelling::<Name>(text);
    one_spelling::<SessionName>(text);
    one_spelling::<ModelName>(text);
    one_spelling::<AgentId>(text);
    one_spelling::<TurnId>(text);
    one_spelling::<Destination>(text);
    if let Ok(url) = BaseUrl::parse(ProviderKind::OpenaiCompatible, Some(text)) {
        let again = BaseUrl::parse(ProviderKind::OpenaiCompatible, Some(url.as_str()));
        assert_eq!(again.expect("our own spelling").as_str(), url.as_str());
    }
});

fn one_spelling<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(word) = text.parse::<T>() {
        let spelt = word.to_string();
        assert!(spelt.parse::<T>().is_ok_and(|again| again == word), "{spelt}");
    }
}
