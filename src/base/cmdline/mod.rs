//! The command line as data: one table of commands and flags from which come the parser, `--help`,
//! the completions of bash, zsh and fish, and the SYNOPSIS and option lists of the manual pages.
