#include "format/svg.h"

#include <math.h>

static void put_escaped(struct buf *out, const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        switch (c) {
        case '&': buf_append_text(out, "&amp;"); break;
        case '<': buf_append_text(out, "&lt;"); break;
        case '>': buf_append_text(out, "&gt;"); break;
        case '"': buf_append_text(out, "&quot;"); break;
        default:
            if (c < 0x20)
                buf_append_char(out, ' ');
            else
                buf_append_char(out, *text);
        }
    }
}

void svg_begin(struct buf *out, double width, double height, const char *title) {
    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
               "font-family=\"sans-serif\" role=\"img\">\n"
               "<title>",
               width, height, width, height);
    put_escaped(out, title);
    buf_append_text(out, "</title>\n");
    svg_rect(out, 0, 0, width, height, "#ffffff");
}

void svg_end(struct buf *out) { buf_append_text(out, "</svg>\n"); }

void svg_rect(struct buf *out, double x, double y, double width, double height, const char *fill) {
    buf_printf(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", x, y, width, height, fill);
}

void svg_line(struct buf *out, double x1, double y1, double x2, double y2, const char *stroke, double width, bool dashed) {
    buf_printf(out, "<line x1=\"%.2f\" y1=\"%.2f\" x2=\"%.2f\" y2=\"%.2f\" stroke=\"%s\" stroke-width=\"%.2f\"%s/>\n", x1, y1, x2, y2,
               stroke, width, dashed ? " stroke-dasharray=\"4 3\"" : "");
}

void svg_circle(struct buf *out, double x, double y, double radius, const char *fill) {
    buf_printf(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"%.2f\" fill=\"%s\"/>\n", x, y, radius, fill);
}

void svg_text(struct buf *out, double x, double y, const char *anchor, double size, const char *fill, const char *text) {
    buf_printf(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" font-size=\"%.1f\" fill=\"%s\">", x, y, anchor, size, fill);
    put_escaped(out, text);
    buf_append_text(out, "</text>\n");
}

const char *svg_colour(size_t i) {
    static const char *const colours[] = {"#1f5fbf", "#c2571a", "#2f7d4f", "#8a3fa0", "#b3365b", "#72701a", "#16808c", "#7a5b45"};
    return colours[i % (sizeof colours / sizeof colours[0])];
}

void svg_marks(double *first, double *step, double low, double high, size_t most) {
    const double rough = (high - low) / (double)most, unit = pow(10, floor(log10(rough))), ratio = rough / unit;
    *step = unit * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
    *first = ceil(low / *step - 1e-9) * *step;
}
