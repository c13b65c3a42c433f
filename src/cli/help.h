/* help: rapt help, in every form that the option tables are printed in. */
#ifndef RAPT_CLI_HELP_H
#define RAPT_CLI_HELP_H

/* rapt --help */
void help_print(void);
/* rapt help [COMMAND] [--markdown | --man], --support [GOLDENS], --completion SHELL. The exit code. */
int help_run(int argc, char **argv);

#endif
