"""The parts of report.html: each turns a content into what its part of the template shows. Pure."""
