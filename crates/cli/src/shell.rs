//! What a shell and `man` want to know about this command.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::output::print;
use clap::CommandFactory;

/// The completion script of a shell.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "doorbell", &mut script);
    print(script)
}

/// The manual page of the command, or of one of its commands.
pub(crate) fn man(name: Option<&str>) -> Result<(), Failure> {
    let mut doorbell = Arguments::command();
    doorbell.build();
    let command = match name {
        None => doorbell,
        Some(name) => doorbell
            .find_subcommand(name)
            .ok_or_else(|| Failure::Usage(format!("there is no command '{name}' and so no page for it")))?
            .clone(),
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    print(page)
}
