//! `--json`: the report as it is.

use super::super::report::Report;

pub(super) fn json(report: &Report) -> String {
    let text = serde_json::to_string_pretty(report);
    text.expect("a report has nothing that JSON cannot say") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture;
    use super::*;
    use boon::{Compiler, SchemaIndex, Schemas};
    use serde_json::{Value, json};

    /// docs/bench.schema.json.
    fn schema() -> (Schemas, SchemaIndex) {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        let text = include_str!("../../../../../docs/bench.schema.json");
        compiler.enable_format_assertions();
        compiler.add_resource("bench.schema.json", serde_json::from_str(text).unwrap()).unwrap();
        let index = compiler.compile("bench.schema.json", &mut schemas).unwrap();
        (schemas, index)
    }

    #[test]
    fn what_is_written_is_what_the_schema_says() {
        let (schemas, index) = schema();
        for report in fixture::each_kind() {
            let document: Value = serde_json::from_str(&json(&report)).unwrap();
            if let Err(error) = schemas.validate(&document, index) {
                panic!("{error}");
            }
        }
    }

    #[test]
    fn the_schema_knows_every_field_and_refuses_what_is_wrong() {
        let (schemas, index) = schema();
        let right: Value =
            serde_json::from_str(&json(&fixture::report(&["select", "mine"], &[1], 2))).unwrap();
        let wrong: [(&str, Value); 7] = [
            ("/schema", json!("doorbell-bench/0")),
            ("/started", json!("yesterday")),
            ("/machine/processors", json!(-1)),
            ("/load/kind", json!("lunch")),
            ("/cells/0/summary", json!({"beauty": {"median": 1, "low": 1, "high": 1}})),
            ("/cells/0/runs/0/latency/curve/3/0", json!(51)),
            ("/comparisons/0/decided", json!(1)),
        ];
        for (place, value) in wrong {
            let mut document = right.clone();
            *document.pointer_mut(place).unwrap() = value;
            assert!(schemas.validate(&document, index).is_err(), "{place}");
        }
        // No field is missing in the schema: each object of a report has those that it names, and no other.
        let defs: Value =
            serde_json::from_str(include_str!("../../../../../docs/bench.schema.json")).unwrap();
        for (place, name) in [
            ("/machine", "machine"),
            ("/load", "load"),
            ("/subjects/0", "subject"),
            ("/cells/0", "cell"),
            ("/cells/0/runs/0", "run"),
            ("/cells/0/runs/0/latency", "latency"),
            ("/cells/0/runs/0/server", "server"),
            ("/cells/0/runs/0/generator", "generator"),
            ("/comparisons/0", "comparison"),
        ] {
            let written = right.pointer(place).unwrap().as_object().unwrap();
            let named = defs["$defs"][name]["properties"].as_object().unwrap();
            assert!(written.keys().eq(named.keys()), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_again_as_the_same() {
        for report in fixture::each_kind() {
            let again: Report = serde_json::from_str(&json(&report)).unwrap();
            assert!(again == report);
        }
    }

    #[test]
    fn a_figure_that_is_not_known_is_null_or_absent_and_never_zero() {
        let text: serde_json::Value = serde_json::from_str(&json(&fixture::target())).unwrap();
        let cell = &text["cells"][0];
        assert!(cell["runs"][0]["server"].is_null());
        assert!(cell["summary"]["p99.9_us"]["median"].is_number() && cell["summary"].get("cpu_us").is_none());
    }
}
