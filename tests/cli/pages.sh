#!/usr/bin/env bash
# Manual pages and shell completions: every command and option is in all of them, roff and the shells accept them, and bash's completes.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
root=$(cd "$tests/.." && pwd)
cd "$dir"
bash "$root/tools/pages.sh" "$RAPT" pages
commands=$("$RAPT" help --markdown | sed -n 's/.*](\([a-z0-9-]*\)\.md).*/\1/p')
# as many as the tables of the source have rows, and a page of each by the names that they have there
rows() { sed -n "/^#define $1(/,/^\/\*/p" "$root/src/cli/cmd.h" | grep -oE '^ +X\(.*'; }
names=$({ rows COMMAND_LIST | sed 's/.*X(//; s/,.*//'; rows EVAL_COMMAND_LIST | sed 's/[^"]*"//; s/".*//; s/^/eval-/'; } | sort)
[ "$(wc -w <<<"$names")" -ge 23 ]
[ "$names" = "$(tr ' ' '\n' <<<"$commands" | sort)" ] || { echo "help --markdown has other commands than cmd.h:"; diff <(echo "$names") <(tr ' ' '\n' <<<"$commands" | sort); exit 1; }
[ "$(find pages/man1 -name 'rapt-*.1' -printf '%f\n' | sed 's/^rapt-//; s/\.1$//' | sort)" = "$names" ] || { echo "man1 holds:"; ls pages/man1; exit 1; }
options() { "$RAPT" help "$1" --markdown | sed -nE 's/^\| `--([a-z0-9-]+).*/\1/p'; } # of a command
# tasks of eval with options of their own: eval's help names them all, help finds each by both names, and a usage error hints at the task's own help
"$RAPT" eval --help | tr -s ' \n' ' ' >eval.help
for name in $(grep '^eval-' <<<"$names"); do
  task=${name#eval-}
  grep -qE "^.*Tasks with options of their own.*[ ,]$task[ ,.]" eval.help || { echo "rapt eval --help leaves out $task"; exit 1; }
  "$RAPT" eval "$task" --help >own.help
  "$RAPT" help eval "$task" | cmp - own.help
  "$RAPT" help "$name" | cmp - own.help
  fails 2 "rapt: try 'rapt eval $task --help'" "$RAPT" eval "$task" --no-such-option
done
"$RAPT" help eval goal-curve | cmp - <("$RAPT" eval --help) # the others are on eval's page
"$RAPT" help eval summary --markdown | cmp - <("$RAPT" help eval --markdown)
fails 2 "rapt eval has no task 'x'" "$RAPT" help eval x
fails 2 "not 'x'" "$RAPT" help train x
fails 2 "rapt: try 'rapt eval --help'" "$RAPT" eval goal-curve --no-such-option

count=0
for c in $commands; do
  # words of the option rows: "--name" in bash, '--name= or '--name[ in zsh, "-l name" in fish, \-\-name in the page
  sed -n "/^    $c)/,/^    [a-z0-9-]*)/p" pages/completions/rapt >bash.part
  sed -n "/^    $c)/,/^    [a-z0-9-]*)/p" pages/completions/_rapt >zsh.part
  grep -E "from ${c#eval-}('|; and not)" pages/completions/rapt.fish >fish.part
  for o in $(options "$c"); do
    count=$((count + 1))
    roff=${o//-/\\\\-}
    grep -qE "^\.BI \"\\\\-\\\\-$roff\"" "pages/man1/rapt-$c.1" || { echo "rapt-$c.1 lacks --$o"; exit 1; }
    grep -qE -- "^      options='.* --$o( |')" bash.part || { echo "bash: $c lacks --$o"; exit 1; }
    grep -qE -- "--$o(=)?\[" zsh.part || { echo "zsh: $c lacks --$o"; exit 1; }
    grep -qE -- " -l $o( |\$)" fish.part || { echo "fish: $c lacks --$o"; exit 1; }
  done
  grep -q "^.BR rapt.-${c//-/.-} (1)" pages/man1/rapt.1
done
[ "$count" -gt 200 ] || { echo "only $count options"; exit 1; }

# bash: source it and press Tab
complete_words() { # words of the line; the last is being typed
  bash --norc -c '. pages/completions/rapt; complete -p rapt >/dev/null; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rapt; printf "%s\n" "${COMPREPLY[@]}"' _ "$@" 2>&1 | sort | tr '\n' ' '
}
expects() { # wanted, words...
  local wanted=$1 got
  shift
  got=$(complete_words "$@")
  [ "$got" = "$wanted" ] || { echo "'$*' completes to '$got', want '$wanted'"; exit 1; }
}
expects "augment " rapt aug
expects "template tokenize train " rapt t
expects "--top " rapt augment --top
expects "drop keep plain " rapt augment --ties ""
expects "keep " rapt augment --input x --ties k
expects "plain " rapt augment --ties = p # --ties=p comes as three words
expects "--no-swap " rapt augment --no-
expects "goal-accuracy goal-curve " rapt eval goal
expects "gsm8k " rapt eval gsm
[[ " $(complete_words rapt eval multiple-choice --task arc) " != *" --"* ]]
expects "--num-fewshot " rapt eval multiple-choice --num-f
expects " " rapt eval goal-accuracy --num-f
[[ " $(complete_words rapt train --optim adam) " == *" adamw_torch "* ]]
[[ " $(complete_words rapt train --loss-type "") " == *" sigmoid "* ]]
[[ " $(complete_words rapt train --loss-type "") " == *" ipo "* ]]
[[ " $(complete_words rapt score --source "") " == *" reward-model "* ]]
touch "data one.jsonl" data-two.jsonl
expects "data one.jsonl data-two.jsonl " rapt augment --input data
expects " " rapt augment --seed ""
expects "bash fish zsh " rapt help --completion ""
"$RAPT" augment --seed 1 --ties plain --input /dev/null --output /dev/null 2>/dev/null # what was completed is what is taken

# the other shells where they are; zsh's and fish's own parsers
if command -v zsh >/dev/null; then
  zsh -f -n pages/completions/_rapt
fi
if command -v fish >/dev/null; then
  HOME=$dir fish --no-config -n pages/completions/rapt.fish
  got=$(HOME=$dir fish --no-config -c 'source pages/completions/rapt.fish; complete -C "rapt augment --ties "' | cut -f1 | sort | tr '\n' ' ')
  [ "$got" = "drop keep plain " ] || { echo "fish: $got"; exit 1; }
fi
# roff without a warning
if command -v groff >/dev/null; then
  for page in pages/man1/*.1; do
    LC_ALL=C.UTF-8 groff -k -man -Tutf8 -ww -z "$page" 2>warnings
    [ ! -s warnings ] || { echo "$page:"; cat warnings; exit 1; }
  done
fi
fails 2 'bash, zsh or fish' "$RAPT" help --completion tcsh
fails 2 "not '--man'" "$RAPT" help --man --man
