/* opt_man: an option table as a manual page (man(7), groff_man(7)). */
#include "base/opt.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Text that roff shows as it stands: every hyphen as the character that a shell reads, no line that begins like a request. */
static void put_text(struct buf *out, const char *text) {
    bool begins = true;
    for (const char *p = text; *p; p++) {
        if (begins && (*p == '.' || *p == '\'')) buf_append_text(out, "\\&");
        if (*p == '-')
            buf_append_text(out, "\\-");
        else if (*p == '\\')
            buf_append_text(out, "\\e");
        else
            buf_append_char(out, *p);
        begins = *p == '\n';
    }
}

/* The same as one argument of a macro: a quotation mark would end it. */
static void put_argument(struct buf *out, const char *text) {
    struct buf b = {0};
    put_text(&b, text);
    buf_append_char(out, '"');
    for (const char *p = buf_text(&b); *p; p++) {
        if (*p == '"')
            buf_append_text(out, "\\(dq");
        else
            buf_append_char(out, *p == '\n' ? ' ' : *p);
    }
    buf_append_char(out, '"');
    buf_release(&b);
}

void opt_man_title(struct buf *out, const char *page, const char *version) {
    buf_append_text(out, ".TH ");
    for (const char *p = page; *p; p++) buf_append_char(out, (char)toupper((unsigned char)*p));
    buf_printf(out, " 1 \"\" \"rapt %s\" \"rapt manual\"\n", version);
}

void opt_man_text(struct buf *out, const char *text) {
    put_text(out, text);
    if (!out->size || out->data[out->size - 1] != '\n') buf_append_char(out, '\n');
}

void opt_man_section(struct buf *out, const char *kind, const char *name) {
    buf_printf(out, ".%s ", kind);
    put_argument(out, name);
    buf_append_char(out, '\n');
}

void opt_man_item(struct buf *out, const char *bold, const char *italic) {
    buf_append_text(out, ".TP\n.BI ");
    put_argument(out, bold);
    if (italic) {
        buf_append_text(out, " \" \" ");
        put_argument(out, italic);
    }
    buf_append_char(out, '\n');
}

void opt_man_example(struct buf *out, const char *lines) {
    buf_append_text(out, ".EX\n");
    opt_man_text(out, lines);
    buf_append_text(out, ".EE\n");
}

static void put_row(struct buf *out, const struct opt_spec *spec, const struct opt_row *row) {
    struct buf name = {0}, text = {0};
    buf_printf(&name, "--%s", row->name);
    opt_man_item(out, buf_text(&name), row->kind == OPT_CHOICE ? row->choices : row->arg);
    opt_row_text(&text, spec, row);
    opt_man_text(out, buf_text(&text));
    buf_release(&name);
    buf_release(&text);
}

void opt_man(struct buf *out, const struct opt_spec *spec, const char *version) {
    struct buf page = {0};
    bool section = false;
    buf_printf(&page, "rapt-%s", spec->command);
    for (char *blank = page.data; (blank = strchr(blank, ' '));) *blank = '-'; /* "eval gsm8k" is rapt-eval-gsm8k(1) */
    opt_man_title(out, buf_text(&page), version);
    opt_man_section(out, "SH", "NAME");
    put_text(out, buf_text(&page));
    buf_append_text(out, " \\- ");
    opt_man_text(out, spec->summary);
    opt_man_section(out, "SH", "SYNOPSIS");
    buf_printf(out, ".B rapt %s\n", spec->command);
    if (spec->positional) opt_man_text(out, spec->positional);
    buf_append_text(out, "[options]\n");
    opt_man_section(out, "SH", "DESCRIPTION");
    opt_man_text(out, spec->summary);
    if (spec->notes) {
        buf_append_text(out, ".PP\n");
        for (const char *p = spec->notes; *p;) { /* lines stay lines, blank ones part paragraphs */
            const size_t n = strcspn(p, "\n"), breaks = strspn(p + n, "\n");
            char *line = mem_text_n(p, n);
            opt_man_text(out, line);
            free(line);
            p += n + breaks;
            if (*p) buf_append_text(out, breaks > 1 ? ".PP\n" : ".br\n");
        }
    }
    for (size_t i = 0; i < spec->row_count; i++) {
        if (spec->rows[i].kind != OPT_HEADING && !section) opt_man_section(out, "SH", "OPTIONS");
        section = section || spec->rows[i].kind != OPT_HEADING;
        if (spec->rows[i].kind == OPT_HEADING) {
            if (!section) opt_man_section(out, "SH", "OPTIONS");
            section = true;
            opt_man_section(out, "SS", spec->rows[i].name);
        } else {
            put_row(out, spec, &spec->rows[i]);
        }
    }
    if (spec->example) {
        opt_man_section(out, "SH", "EXAMPLES");
        opt_man_example(out, spec->example);
    }
    opt_man_section(out, "SH", "EXIT STATUS");
    opt_man_text(out, "0 on success, 1 when the work failed, 2 for wrong usage.");
    opt_man_section(out, "SH", "SEE ALSO");
    buf_append_text(out, ".BR rapt (1)\n");
    buf_release(&page);
}
