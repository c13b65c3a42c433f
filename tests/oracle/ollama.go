// Renders conversations under a Go template with the data that Ollama gives it (github.com/ollama/ollama, template/template.go): .Messages with the messages of
// one role after another joined, .System with the texts of all system messages. For check_ollama.py: JSON on stdin, JSON on stdout.
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type answer struct {
	Text  string `json:"text"`
	Error string `json:"error"`
}

func render(t *template.Template, given []message) (out answer) {
	var systems []string
	var merged []*message
	for i := range given {
		m := &given[i]
		if m.Role == "system" {
			systems = append(systems, m.Content)
		}
		if n := len(merged); n > 0 && merged[n-1].Role == m.Role {
			merged[n-1].Content += "\n\n" + m.Content
		} else {
			merged = append(merged, m)
		}
	}
	var b strings.Builder
	err := t.Execute(&b, map[string]any{"System": strings.Join(systems, "\n\n"), "Messages": merged, "Response": "", "Tools": nil, "Think": false})
	if err != nil {
		out.Error = err.Error()
	}
	out.Text = b.String()
	return out
}

func main() {
	var in struct {
		Template string      `json:"template"`
		Talks    [][]message `json:"talks"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		panic(err)
	}
	t := template.Must(template.New("").Option("missingkey=zero").Parse(in.Template))
	out := []answer{}
	for _, talk := range in.Talks {
		out = append(out, render(t, talk))
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		panic(err)
	}
}
