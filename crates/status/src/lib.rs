//! Cluster status as text, XML and HTML, in the reference's layout.
