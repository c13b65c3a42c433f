/* recipe: a YAML file that names a whole pipeline, read, filled in and checked before any of it runs.
 *
 *   output: runs/first                  # folder of everything below; ${output} in every other text
 *   vars: {model: "${RAPT_MODEL:-m.gguf}"}
 *   defaults: {seed: &seed 42}          # never read: a place for anchors; optional, as vars and description are
 *   stages:
 *     - name: train
 *       run: train                      # a rapt command, and its positional arguments
 *       title: learns the preferences   # for the progress line; optional
 *       with: {model: "${model}", train-data: "${output}/train.jsonl", output-dir: "${output}/ra", full: true, goal: [2, 10]}
 *       stdout: "${output}/train.txt"   # optional
 *       inputs: [a, b]                  # files it reads besides those its options name; optional
 *       when: "${more}"                 # the stage is left out where this text is empty; unless: where it is not; optional
 *       outputs: [c]                    # files it writes besides --output, --output-dir, --X-output, --picture; optional
 *     - repeat: 3                     # these stages three times; ${round} is 1, 2, 3 in their texts, ${previous} 0, 1, 2
 *       stages: [{name: "train-${round}", ...}]
 *     - each: {seed: "1,2", mode: "own,plain"} # these stages for every combination, the last variable changing first
 *       stages: [{name: "train-${mode}-${seed}", ...}]
 *
 *   closing: "see ${output}/report.html"  # what to say when all is done; optional
 *
 * A key under `with` is an option's name; true is the bare option, false --no-option, null no option, a list several values.
 * Loops stand in loops. A list (of an option, args, inputs, outputs) may hold loops too: {each: {mode: "own,plain"}, text:
 * "${mode}=runs/${mode}"}.
 * ${NAME} is a variable of `vars`, `output`, or the environment's; ${NAME:-text} has a default; ${steps*rounds} is the product
 * of whole numbers, variables or digits; $${ is a plain ${.
 * Which commands exist is the caller's to say: this file knows options, not commands. */
#ifndef RAPT_PIPELINE_RECIPE_H
#define RAPT_PIPELINE_RECIPE_H

#include "base/arena.h"
#include "base/opt.h"
#include "format/yaml.h"

#define RECIPE_STAGES_MAX 256
#define RECIPE_TEXT_MAX ((size_t)1 << 16) /* bytes of a text with its variables filled in */

/* The option table of a command, or NULL for one that does not exist or cannot be a stage. A name may be of two words ("eval kl"). */
typedef const struct opt_spec *recipe_find_fn(const char *command);

struct recipe_paths {
    const char **items; /* [count] */
    size_t count, capacity;
};

struct recipe_stage {
    const char *name, *title; /* title may be NULL */
    const struct opt_spec *spec;
    size_t line; /* of the recipe, 1-based */
    char **argv; /* [argc], then NULL: what the command gets, its name not among it */
    int argc;
    const char *stdout_path;     /* or NULL */
    const char *options_json;    /* every option with its default filled in, and the positional arguments */
    struct recipe_paths needs;   /* inputs that must be there when the stage begins */
    struct recipe_paths values;  /* every other text given to an option: an input where a file has that name */
    struct recipe_paths words;   /* of the programs that it runs: an input where a file, no folder, has that name */
    struct recipe_paths outputs; /* files and folders it makes */
};

struct recipe {
    struct yaml doc;
    struct arena arena;
    const char *path, *output, *closing; /* closing may be NULL */
    struct recipe_stage *stages;         /* [stage_count] */
    size_t stage_count;
};

/* Reads and checks all of it: every command and option exists, every value parses, every input is there or made by an earlier stage.
 * `set` is NAME=VALUE texts that win over `vars` and `output` (an item without = goes on the one before, behind a comma, as opt's lists
 * are split there). ST_FORMAT or ST_USAGE name file and line. Release either way. */
status recipe_load(struct recipe *r, const char *path, recipe_find_fn *find, const struct opt_list *set);
void recipe_release(struct recipe *r);
/* The stage's index, or ST_USAGE that lists the names. */
status recipe_stage_index(size_t *out, const struct recipe *r, const char *name);
/* The stage as a line for a shell: rapt COMMAND ..., every word quoted where a shell wants it. */
void recipe_shell_line(struct buf *out, const struct recipe_stage *stage);

/* Is `path` equal to `folder` or inside it? Compared as texts, after "./" and slashes at the end. */
bool recipe_path_within(const char *path, const char *folder);
/* The path in "NAME=PATH" where that names a run (rapt eval --adapter), else the text itself. A file that has the whole text as its name
 * is taken whole. */
const char *recipe_path_of(const char *text);

#endif
