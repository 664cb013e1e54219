use super::*;

const CIB: &str = "<cib epoch='3'><configuration><resources>\
    <primitive id='a' type='Dummy'><meta_attributes id='m'><nvpair id='n1' name='x' value='1'/>\
    <nvpair id='n2' name='y' value='20'/></meta_attributes></primitive>\
    <group id='g'><primitive id='b' type='IPaddr2'/><!-- note --><primitive id='c' type='Dummy'/></group>\
    </resources></configuration><status/></cib>";

fn ids(expression: &str) -> Vec<String> {
    let doc = Document::parse(CIB).unwrap();
    let found = XPath::parse(expression).unwrap().select(&doc).unwrap();
    found.into_iter().map(|id| doc.attr(id, "id").unwrap_or(doc.name(id)).to_string()).collect()
}

fn text(expression: &str) -> String {
    let doc = Document::parse(CIB).unwrap();
    XPath::parse(expression).unwrap().evaluate(&doc).unwrap().to_text(&doc)
}

#[test]
fn location_paths() {
    assert_eq!(ids("//primitive"), ["a", "b", "c"]);
    assert_eq!(ids("/cib/configuration/resources/primitive"), ["a"]);
    assert_eq!(ids("//primitive[@type='Dummy']"), ["a", "c"]);
    assert_eq!(ids("//group/primitive[2]"), ["c"]);
    assert_eq!(ids("//primitive[last()]"), ["a", "c"]);
    assert_eq!(ids("(//primitive)[last()]"), ["c"]);
    assert_eq!(ids("//nvpair[@name='y']/.."), ["m"]);
    assert_eq!(ids("//nvpair[@value > 5]/ancestor::primitive"), ["a"]);
    assert_eq!(ids("//primitive[@id='c']/preceding-sibling::*"), ["b"]);
    assert_eq!(ids("//group | //status"), ["g", "status"]);
    assert_eq!(ids("//primitive[@id='c']/preceding::primitive[1]"), ["b"]);
    assert_eq!(ids("//@type"), ["a", "b", "c"]);
    assert_eq!(ids("/"), ["cib"]);
    assert_eq!(ids("//*[@id='g']//*[not(@type='Dummy')]"), ["b"]);
    assert_eq!(ids("//comment()/following-sibling::primitive"), ["c"]);
}

#[test]
fn expressions() {
    assert_eq!(text("count(//primitive) * 2 - 1"), "5");
    assert_eq!(text("sum(//nvpair/@value) div 2"), "10.5");
    assert_eq!(text("concat(name(//group), '-', string(//nvpair/@name))"), "group-x");
    assert_eq!(text("substring('12345', 1.5, 2.6)"), "234");
    assert_eq!(text("substring('12345', 0)"), "12345");
    assert_eq!(text("translate('bar', 'abc', 'AB')"), "BAr");
    assert_eq!(text("normalize-space('  a  b ')"), "a b");
    assert_eq!(text("//nvpair/@value = 20 and not(//nvpair/@value = 21)"), "true");
    assert_eq!(text("1 div 0"), "Infinity");
    assert_eq!(text("-(3 mod 2) < 0"), "true");
    assert_eq!(text("number('x')"), "NaN");
    assert_eq!(text("boolean(//nothing) or starts-with('abc', 'ab')"), "true");
    assert_eq!(text("round(2.5) + floor(-1.5) + ceiling(1.2)"), "3");
}

#[test]
fn names_that_are_operators_elsewhere() {
    let doc = Document::parse("<a><div mod='1'/><and/></a>").unwrap();
    let found = XPath::parse("//div[@mod div 1 = 1] | /a/and").unwrap().select(&doc).unwrap();
    assert_eq!(found.len(), 2);
}

#[test]
fn faults_are_told_with_their_place() {
    for wrong in ["//", "//a[", "a b", "foo::a", "'x", "a[1", "@", "$", "1 +", "!", "a//"] {
        assert!(XPath::parse(wrong).is_err(), "{wrong}");
    }
    let deep = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(XPath::parse(&deep).unwrap_err(), XPathError::TooComplex);
    let doc = Document::parse(CIB).unwrap();
    assert!(XPath::parse("nosuch()").unwrap().evaluate(&doc).is_err());
    assert_eq!(XPath::parse("1").unwrap().select(&doc).unwrap_err(), XPathError::NotNodes);
}

#[test]
fn place_of_an_element() {
    let doc = Document::parse(CIB).unwrap();
    let c = doc.find_id(doc.root(), "c").unwrap();
    assert_eq!(doc.xpath_of(c), "/cib/configuration/resources/group[@id='g']/primitive[@id='c']");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([/@*.()\\[\\]|=<!'\" ]|a|id|count|div|and|or|node|1|::|-|\\$){0,20}") {
        let doc = Document::parse(CIB).unwrap();
        if let Ok(path) = XPath::parse(&text) {
            let _ = path.evaluate(&doc);
        }
    }
}
