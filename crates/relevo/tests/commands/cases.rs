//! The cases: title and command line, as the reference's suite names them.

/// In which format a case runs.
#[derive(Clone, Copy)]
pub enum Format {
    /// As typed.
    Plain,
    /// As typed; the title says that it is XML.
    Xml,
    /// As typed; a refusal, whose words are ours, but not its exit status.
    Refused,
    /// With `--output-as=xml` after the name of the program.
    AsXml,
}

impl Format {
    pub fn title(self, title: &str) -> String {
        match self {
            Format::Plain | Format::Refused => title.to_string(),
            Format::Xml | Format::AsXml => format!("{title} (XML)"),
        }
    }

    pub fn command(self, command: &str) -> String {
        match (self, command.split_once(' ')) {
            (Format::AsXml, Some((program, rest))) => format!("{program} --output-as=xml {rest}"),
            (Format::AsXml, None) => format!("{command} --output-as=xml"),
            _ => command.to_string(),
        }
    }
}

/// What a case reads from its standard input.
#[derive(Clone, Copy)]
pub enum Input {
    File(&'static str),
    Text(fn() -> String),
}

pub struct Case {
    pub title: &'static str,
    pub command: &'static str,
    pub formats: &'static [Format],
    pub input: Option<Input>,
}

/// Cases of one transcript on one configuration.
pub struct Group {
    pub transcript: &'static str,
    /// The configuration's file, if it is not in the command line.
    pub cib: Option<&'static str>,
    pub cases: &'static [Case],
}

const fn text(title: &'static str, command: &'static str) -> Case {
    Case { title, command, formats: &[Format::Plain], input: None }
}

const fn xml(title: &'static str, command: &'static str) -> Case {
    Case { title, command, formats: &[Format::Xml], input: None }
}

/// A case that reads a text and must refuse it.
const fn refused(title: &'static str, command: &'static str, input: fn() -> String) -> Case {
    Case { title, command, formats: &[Format::Refused], input: Some(Input::Text(input)) }
}

/// A case that reads a text from standard input.
const fn piped(title: &'static str, command: &'static str, input: fn() -> String) -> Case {
    Case { title, command, formats: &[Format::Plain], input: Some(Input::Text(input)) }
}

const fn both(title: &'static str, command: &'static str) -> Case {
    Case { title, command, formats: &[Format::Plain, Format::AsXml], input: None }
}

pub const CRM_MON: &[Group] = &[
    Group {
        transcript: "regression.crm_mon.exp",
        cib: Some("crm_mon.xml"),
        cases: &[
            both("Basic output", "crm_mon -1"),
            both("Output without node section", "crm_mon -1 --exclude=nodes"),
            text("Output with only the node section", "crm_mon -1 --exclude=all --include=nodes"),
            text("Complete text output", "crm_mon -1 --include=all"),
            text("Complete text output with detail", "crm_mon -1R --include=all"),
            text("Complete brief text output", "crm_mon -1 --include=all --brief"),
            text("Complete text output grouped by node", "crm_mon -1 --include=all --group-by-node"),
            text(
                "Complete brief text output grouped by node",
                "crm_mon -1 --include=all --group-by-node --brief",
            ),
            xml("Output grouped by node", "crm_mon --output-as=xml --group-by-node"),
            both("Complete output filtered by node", "crm_mon -1 --include=all --node=cluster01"),
            both("Complete output filtered by tag", "crm_mon -1 --include=all --node=even-nodes"),
            both(
                "Complete output filtered by resource tag",
                "crm_mon -1 --include=all --resource=fencing-rscs",
            ),
            both("Output filtered by node that doesn't exist", "crm_mon -1 --node=blah"),
            text("Basic text output with inactive resources", "crm_mon -1 -r"),
            text(
                "Basic text output with inactive resources, filtered by node",
                "crm_mon -1 -r --node=cluster02",
            ),
            both(
                "Complete output filtered by primitive resource",
                "crm_mon -1 --include=all --resource=Fencing",
            ),
            both(
                "Complete output filtered by group resource",
                "crm_mon -1 --include=all --resource=exim-group",
            ),
            text(
                "Complete text output filtered by group resource member",
                "crm_mon -1 --include=all --resource=Public-IP",
            ),
            xml("Output filtered by group resource member", "crm_mon --output-as=xml --resource=Email"),
            both(
                "Complete output filtered by clone resource",
                "crm_mon -1 --include=all --resource=ping-clone",
            ),
            both(
                "Complete output filtered by clone resource instance",
                "crm_mon -1 --include=all --resource=ping",
            ),
            text(
                "Complete text output filtered by exact clone resource instance",
                "crm_mon -1 --include=all --show-detail --resource=ping:0",
            ),
            xml(
                "Output filtered by exact clone resource instance",
                "crm_mon --output-as=xml --resource=ping:1",
            ),
            both("Output filtered by resource that doesn't exist", "crm_mon -1 --resource=blah"),
            text(
                "Basic text output with inactive resources, filtered by tag",
                "crm_mon -1 -r --resource=inactive-rscs",
            ),
            text(
                "Basic text output with inactive resources, filtered by bundle resource",
                "crm_mon -1 -r --resource=httpd-bundle",
            ),
            xml(
                "Output filtered by inactive bundle resource",
                "crm_mon --output-as=xml --resource=httpd-bundle",
            ),
            text(
                "Basic text output with inactive resources, filtered by bundled IP address resource",
                "crm_mon -1 -r --resource=httpd-bundle-ip-192.168.122.131",
            ),
            xml(
                "Output filtered by bundled IP address resource",
                "crm_mon --output-as=xml --resource=httpd-bundle-ip-192.168.122.132",
            ),
            text(
                "Basic text output with inactive resources, filtered by bundled container",
                "crm_mon -1 -r --resource=httpd-bundle-docker-1",
            ),
            xml(
                "Output filtered by bundled container",
                "crm_mon --output-as=xml --resource=httpd-bundle-docker-2",
            ),
            text(
                "Basic text output with inactive resources, filtered by bundle connection",
                "crm_mon -1 -r --resource=httpd-bundle-0",
            ),
            xml("Output filtered by bundle connection", "crm_mon --output-as=xml --resource=httpd-bundle-0"),
            text(
                "Basic text output with inactive resources, filtered by bundled primitive resource",
                "crm_mon -1 -r --resource=httpd",
            ),
            xml("Output filtered by bundled primitive resource", "crm_mon --output-as=xml --resource=httpd"),
            text(
                "Complete text output, filtered by clone name in cloned group",
                "crm_mon -1 --include=all --show-detail --resource=mysql-clone-group",
            ),
            xml(
                "Output, filtered by clone name in cloned group",
                "crm_mon --output-as=xml --resource=mysql-clone-group",
            ),
            text(
                "Complete text output, filtered by group name in cloned group",
                "crm_mon -1 --include=all --show-detail --resource=mysql-group",
            ),
            xml(
                "Output, filtered by group name in cloned group",
                "crm_mon --output-as=xml --resource=mysql-group",
            ),
            text(
                "Complete text output, filtered by exact group instance name in cloned group",
                "crm_mon -1 --include=all --show-detail --resource=mysql-group:1",
            ),
            xml(
                "Output, filtered by exact group instance name in cloned group",
                "crm_mon --output-as=xml --resource=mysql-group:1",
            ),
            text(
                "Complete text output, filtered by primitive name in cloned group",
                "crm_mon -1 --include=all --show-detail --resource=mysql-proxy",
            ),
            xml(
                "Output, filtered by primitive name in cloned group",
                "crm_mon --output-as=xml --resource=mysql-proxy",
            ),
            text(
                "Complete text output, filtered by exact primitive instance name in cloned group",
                "crm_mon -1 --include=all --show-detail --resource=mysql-proxy:1",
            ),
            xml(
                "Output, filtered by exact primitive instance name in cloned group",
                "crm_mon --output-as=xml --resource=mysql-proxy:1",
            ),
        ],
    },
    Group {
        transcript: "regression.crm_mon.exp",
        cib: Some("crm_mon-partial.xml"),
        cases: &[
            text("Output of partially active resources", "crm_mon -1 --show-detail"),
            xml("Output of partially active resources", "crm_mon --output-as=xml"),
            text(
                "Output of partially active resources, with inactive resources",
                "crm_mon -1 -r --show-detail",
            ),
            text(
                "Complete brief text output, with inactive resources",
                "crm_mon -1 -r --include=all --brief --show-detail",
            ),
            text("Text output of partially active group", "crm_mon -1 --resource=partially-active-group"),
            text(
                "Text output of partially active group, with inactive resources",
                "crm_mon -1 --resource=partially-active-group -r",
            ),
            text("Text output of active member of partially active group", "crm_mon -1 --resource=dummy-1"),
            text(
                "Text output of inactive member of partially active group",
                "crm_mon -1 --resource=dummy-2 --show-detail",
            ),
            text(
                "Complete brief text output grouped by node, with inactive resources",
                "crm_mon -1 -r --include=all --group-by-node --brief --show-detail",
            ),
            text(
                "Text output of partially active resources, with inactive resources, filtered by node",
                "crm_mon -1 -r --node=cluster01",
            ),
            xml(
                "Output of partially active resources, filtered by node",
                "crm_mon --output-as=xml --node=cluster01",
            ),
        ],
    },
    Group {
        transcript: "regression.crm_mon.exp",
        cib: Some("crm_mon-unmanaged.xml"),
        cases: &[
            both("Output of active unmanaged resource on offline node", "crm_mon -1"),
            text("Brief text output of active unmanaged resource on offline node", "crm_mon -1 --brief"),
            text(
                "Brief text output of active unmanaged resource on offline node, grouped by node",
                "crm_mon -1 --brief --group-by-node",
            ),
        ],
    },
    Group {
        transcript: "regression.crm_mon.exp",
        cib: Some("crm_mon-rsc-maint.xml"),
        cases: &[both("Output of all resources with maintenance meta attribute true", "crm_mon -1 -r")],
    },
    Group {
        transcript: "regression.crm_mon.exp",
        cib: Some("crm_mon-T180.xml"),
        cases: &[
            text(
                "Text output of guest node's container on different node from its remote resource",
                "crm_mon -1",
            ),
            text(
                "Complete text output of guest node's container on different node from its remote resource",
                "crm_mon -1 --show-detail",
            ),
        ],
    },
    Group {
        transcript: "regression.crm_mon.exp",
        cib: Some("-"),
        cases: &[Case {
            input: Some(Input::File("crm_mon.xml")),
            ..text("Check that CIB_file=\"-\" works", "crm_mon -1")
        }],
    },
];

pub const CRM_SIMULATE: &[Group] = &[Group {
    transcript: "regression.crm_simulate.exp",
    cib: None,
    cases: &[
        text(
            "Show allocation scores with crm_simulate",
            "crm_simulate -x DATA/crm_mon.xml --show-scores --output-as=xml",
        ),
        text("Show utilization with crm_simulate", "crm_simulate -x DATA/crm_mon.xml --show-utilization"),
        text(
            "Simulate injecting a failure",
            "crm_simulate -x DATA/crm_mon.xml -S -i ping_monitor_10000@cluster02=1",
        ),
        text("Simulate bringing a node down", "crm_simulate -x DATA/crm_mon.xml -S --node-down=cluster01"),
        text("Simulate a node failing", "crm_simulate -x DATA/crm_mon.xml -S --node-fail=cluster02"),
        refused("Run crm_simulate with invalid CIB (enum violation)", "crm_simulate -p -S", || {
            good().replace("start", "break")
        }),
        refused(
            "Run crm_simulate with invalid CIB (unrecognized validate-with)",
            "crm_simulate -p -S",
            || good().replace("pacemaker-1.2", "pacemaker-9999.0"),
        ),
        refused(
            "Run crm_simulate with valid CIB, but without validate-with attribute",
            "crm_simulate -p -S",
            || good().replace(" validate-with=\"pacemaker-1.2\"", ""),
        ),
        refused(
            "Run crm_simulate with invalid CIB, also without validate-with attribute",
            "crm_simulate -p -S",
            || good().replace(" validate-with=\"pacemaker-1.2\"", "").replace("start", "break"),
        ),
        piped(
            "Run crm_simulate with invalid, but possibly recoverable CIB (valid with X.Y+1)",
            "crm_simulate -p -S",
            || good().replace("</configuration>", "<tags/></configuration>"),
        ),
    ],
}];

/// The suite's own small configuration.
fn good() -> String {
    r#"<cib crm_feature_set="3.20.0" validate-with="pacemaker-1.2" epoch="3" num_updates="0" admin_epoch="0">
  <configuration>
    <crm_config/>
    <nodes/>
    <resources>
      <primitive id="dummy1" class="ocf" provider="pacemaker" type="Dummy"/>
      <primitive id="dummy2" class="ocf" provider="pacemaker" type="Dummy"/>
    </resources>
    <constraints>
      <rsc_order id="ord_1-2" first="dummy1" first-action="start" then="dummy2"/>
    </constraints>
  </configuration>
  <status/>
</cib>
"#
    .to_string()
}

pub const CRM_VERIFY: &[Group] = &[Group {
    transcript: "regression.crm_verify.exp",
    cib: None,
    cases: &[
        both(
            "Verify a file-specified invalid configuration",
            "crm_verify --xml-file DATA/crm_verify_invalid_bz.xml",
        ),
        both(
            "Verify a file-specified invalid configuration (verbose)",
            "crm_verify --xml-file DATA/crm_verify_invalid_bz.xml --verbose",
        ),
        both(
            "Verify a file-specified invalid configuration (quiet)",
            "crm_verify --xml-file DATA/crm_verify_invalid_bz.xml --quiet",
        ),
        xml(
            "Verify another file-specified invalid configuration",
            "crm_verify --xml-file DATA/crm_verify_invalid_no_stonith.xml --output-as=xml",
        ),
        xml(
            "Verify a file-specified valid configuration",
            "crm_verify --xml-file DATA/crm_mon.xml --output-as=xml",
        ),
        xml(
            "Verbosely verify a file-specified valid configuration",
            "crm_verify --xml-file DATA/crm_mon.xml --output-as=xml --verbose",
        ),
        Case {
            input: Some(Input::File("crm_mon.xml")),
            ..xml("Verify a piped-in valid configuration", "crm_verify -p --output-as=xml")
        },
        Case {
            input: Some(Input::File("crm_mon.xml")),
            ..xml(
                "Verbosely verify a piped-in valid configuration",
                "crm_verify -p --output-as=xml --verbose",
            )
        },
        xml("Verify a string-supplied valid configuration", "crm_verify -X '@crm_mon.xml' --output-as=xml"),
        xml(
            "Verbosely verify a string-supplied valid configuration",
            "crm_verify -X '@crm_mon.xml' --output-as=xml --verbose",
        ),
    ],
}];
