//! The cases of `iso8601` and `crm_rule`, and the configuration that the latter are asked about.

use super::cases::{Case, Format, Group, Input};

/// What is no period.
const WRONG_PERIODS: [&str; 19] = [
    "",
    "2019-01-01 00:00:00Z",
    "2019-01-01 00:00:00Z/",
    "PT2S/P1M",
    "2019-13-01 00:00:00Z/P1M",
    "20191077T15/P1M",
    "2019-10-01T25:00:00Z/P1M",
    "2019-10-01T24:00:01Z/P1M",
    "PT5H/20191001T007000Z",
    "2019-10-01 00:00:80Z/P1M",
    "2019-10-01 00:00:10 +25:00/P1M",
    "20191001T000010 -00:61/P1M",
    "P1Y/2019-02-29 00:00:00Z",
    "2019-01-01 00:00:00Z/P",
    "P1Z/2019-02-20 00:00:00Z",
    "P1YM/2019-02-20 00:00:00Z",
    "0000-10-01T00:00:00Z/P1M",
    "-0001-10-01T00:00:00Z/P1M",
    "10000-10-01T00:00:00Z/P1M",
];

const YEARS: [&str; 14] =
    ["06", "07", "08", "09", "10", "11", "12", "13", "14", "15", "16", "17", "18", "40"];

/// Title, arguments, and whether it is also asked for XML.
const DATES: [(&str, &str, bool); 17] = [
    ("'2005-040/2005-043' period", "-p '2005-040/2005-043'", true),
    ("2014-01-01 00:30:00 - 1 Hour", "-d '2014-01-01 00:30:00Z' -D P-1H -E '2013-12-31 23:30:00Z'", false),
    ("Valid date - Feb 29 in leap year", "-d '2020-02-29 00:00:00Z' -E '2020-02-29 00:00:00Z'", false),
    ("Valid date - using 'T' and offset", "-d '20191201T131211 -05:00' -E '2019-12-01 18:12:11Z'", false),
    (
        "24:00:00 equivalent to 00:00:00 of next day",
        "-d '2019-12-31 24:00:00Z' -E '2020-01-01 00:00:00Z'",
        false,
    ),
    ("2009-W53-07", "-d '2009-W53-7 00:00:00Z' -W -E '2009-W53-7 00:00:00Z'", true),
    ("epoch + 2 Years 5 Months 6 Minutes", "-d 'epoch' -D P2Y5MT6M -E '1972-06-01 00:06:00Z'", false),
    ("2009-01-31 + 1 Month", "-d '20090131T000000Z' -D P1M -E '2009-02-28 00:00:00Z'", false),
    ("2009-01-31 + 2 Months", "-d '2009-01-31 00:00:00Z' -D P2M -E '2009-03-31 00:00:00Z'", false),
    ("2009-01-31 + 3 Months", "-d '2009-01-31 00:00:00Z' -D P3M -E '2009-04-30 00:00:00Z'", false),
    ("Test immediate plus sign in timezone parsing", "-d '2019-04-25T21:42:54+0200' -S", false),
    (
        "Like the previous, with exotic timezone to avoid false negative",
        "-d '2019-04-25T21:42:54+0420' -S",
        false,
    ),
    ("Test immediate minus sign in timezone parsing", "-d '2019-04-25T21:42:54-0200' -S", false),
    ("Test plus sign with leading spaces in timezone parsing", "-d '2019-04-25T21:42:54 +0200' -S", false),
    ("Test minus sign with leading spaces in timezone parsing", "-d '2019-04-25T21:42:54 -0200' -S", false),
    ("2009-03-31 - 1 Month", "-d '2009-03-31 01:00:00 +01:00' -D P-1M -E '2009-02-28 00:00:00Z'", true),
    ("2038-01-01 + 3 Months", "-d '2038-01-01 00:00:00Z' -D P3M -E '2038-04-01 00:00:00Z'", true),
];

const RULES: [(&str, &str); 10] = [
    ("Try to check a rule that doesn't exist", "-c -r blahblah"),
    ("Try to check a rule that has too many date_expressions", "-c -r cli-rule-too-many-date-expressions"),
    ("Verify basic rule is expired", "-c -r cli-prefer-rule-dummy-expired"),
    ("Verify basic rule worked in the past", "-c -r cli-prefer-rule-dummy-expired -d 20180101"),
    ("Verify basic rule is not yet in effect", "-c -r cli-prefer-rule-dummy-not-yet"),
    ("Verify date_spec rule with years has expired", "-c -r cli-prefer-rule-dummy-date_spec-only-years"),
    (
        "Verify multiple rules at once",
        "-c -r cli-prefer-rule-dummy-not-yet -r cli-prefer-rule-dummy-date_spec-only-years",
    ),
    (
        "Verify date_spec rule with years is in effect",
        "-c -r cli-prefer-rule-dummy-date_spec-only-years -d 20190201",
    ),
    (
        "Try to check a rule whose date_spec does not contain years=",
        "-c -r cli-prefer-rule-dummy-date_spec-without-years",
    ),
    ("Try to check a rule with no date_expression", "-c -r cli-no-date_expression-rule"),
];

/// Rules of each kind; one begins tomorrow.
pub fn configuration() -> String {
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24);
    let rule = |id: &str, attributes: &str, content: &str| {
        format!(
            "<rsc_location id='cli-{id}' rsc='dummy'><rule id='{id}' score='INFINITY' {attributes}>{content}</rule>\
             </rsc_location>"
        )
    };
    let date = |id: &str, content: &str| format!("<date_expression id='{id}' {content}/>");
    let spec = |id: &str, content: &str| {
        format!(
            "<date_expression id='{id}' operation='date_spec'><date_spec id='{id}-spec' {content}/></date_expression>"
        )
    };
    let rules = [
        rule(
            "cli-rule-too-many-date-expressions",
            "boolean-op='or'",
            &[
                date("d1", "operation='gt' start='2020-01-01 01:00:00 -0500'"),
                date("d2", "operation='lt' end='2019-01-01 01:00:00 -0500'"),
            ]
            .concat(),
        ),
        rule(
            "cli-prefer-rule-dummy-expired",
            "",
            &date("d3", "operation='lt' end='2019-01-01 12:00:00 -05:00'"),
        ),
        rule(
            "cli-prefer-rule-dummy-not-yet",
            "",
            &date("d4", &format!("operation='gt' start='{}'", tomorrow.strftime("%F %TZ"))),
        ),
        rule("cli-prefer-rule-dummy-date_spec-only-years", "", &spec("d5", "years='2019'")),
        rule("cli-prefer-rule-dummy-date_spec-without-years", "", &spec("d6", "hours='20' months='1,3,5,7'")),
        rule(
            "cli-no-date_expression-rule",
            "",
            "<expression id='e' attribute='#uname' operation='eq' value='node3'/>",
        ),
    ];
    format!(
        "<cib epoch='1' num_updates='0' admin_epoch='0' validate-with='pacemaker-3.9'><configuration><crm_config/>\
         <nodes/><resources><primitive class='ocf' id='dummy' provider='heartbeat' type='Dummy'/></resources>\
         <constraints>{}</constraints></configuration><status/></cib>",
        rules.concat()
    )
}

const ONCE: &[Format] = &[Format::Plain];
const TWICE: &[Format] = &[Format::Plain, Format::AsXml];

fn case(title: String, command: String, formats: &'static [Format], input: Option<Input>) -> Case {
    // A test's titles may as well stay until its end.
    Case { title: title.leak(), command: command.leak(), formats, input }
}

pub fn dates() -> Group {
    let mut cases = Vec::new();
    for period in WRONG_PERIODS {
        cases.push(case(
            format!("Invalid period - [{period}]"),
            format!("iso8601 -p '{period}'"),
            ONCE,
            None,
        ));
    }
    for (title, arguments, in_xml) in DATES {
        let formats = if in_xml { TWICE } else { ONCE };
        cases.push(case(title.into(), format!("iso8601 {arguments}"), formats, None));
    }
    for year in YEARS {
        for day in ["7", "1"] {
            let date = format!("20{year}-W01-{day}");
            cases.push(case(date.clone(), format!("iso8601 -d '{date} 00Z'"), ONCE, None));
            let command = format!("iso8601 -d '{date} 00Z' -W -E '{date} 00:00:00Z'");
            cases.push(case(format!("{date} - round-trip"), command, ONCE, None));
        }
    }
    Group { transcript: "regression.dates.exp", cib: None, cases: cases.leak() }
}

pub fn rules(cib: &'static str) -> Group {
    let usage = [
        ("crm_rule given no arguments", "crm_rule", None),
        ("crm_rule given no rule to check", "crm_rule -c", None),
        ("crm_rule given invalid input XML", "crm_rule -c -r blahblah -X invalidxml", None),
        (
            "crm_rule given invalid input XML on stdin",
            "crm_rule -c -r blahblah -X -",
            Some(Input::Text(|| "invalidxml\n".into())),
        ),
    ];
    let usage =
        usage.into_iter().map(|(title, command, input)| case(title.into(), command.into(), TWICE, input));
    let checks = RULES
        .into_iter()
        .map(|(title, arguments)| case(title.into(), format!("crm_rule {arguments}"), TWICE, None));
    let cases: Vec<Case> = usage.chain(checks).collect();
    Group { transcript: "regression.rules.exp", cib: Some(cib), cases: cases.leak() }
}
