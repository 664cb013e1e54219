//! Arena DOM that keeps order: parser, serialiser, XPath 1.0, patches and digests.
