// The same parse-and-answer work as the handler, the way a Go custom handler is written: net/http and encoding/json.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

type invocation struct {
	Data     map[string]json.RawMessage
	Metadata map[string]json.RawMessage
}

type bell struct {
	V       int    `json:"v"`
	JobID   string `json:"job_id"`
	Attempt int    `json:"attempt"`
}

func answer(w http.ResponseWriter, line string) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"Outputs": map[string]any{}, "Logs": []string{line}, "ReturnValue": nil})
}

func call(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var inv invocation
	if err == nil {
		err = json.Unmarshal(body, &inv)
	}
	if err != nil {
		http.Error(w, err.Error(), 500)
		return
	}
	var text string
	json.Unmarshal(inv.Data["message"], &text)
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		plain = []byte(text)
	}
	var b bell
	line := "looked"
	if json.Unmarshal(plain, &b) != nil || b.V != 1 || b.JobID == "" {
		line = "not understood; nothing was done"
		fmt.Fprintf(os.Stderr, "warn: [%s] a message that is no bell\n", r.Header.Get("X-Azure-Functions-InvocationId"))
	}
	fmt.Printf("[%s] done in %d ms\n", r.Header.Get("X-Azure-Functions-InvocationId"), time.Since(began).Milliseconds())
	answer(w, line)
}

func main() {
	http.HandleFunc("/delete-resources", call)
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { answer(w, "") })
	err := http.ListenAndServe("127.0.0.1:"+os.Getenv("FUNCTIONS_CUSTOMHANDLER_PORT"), nil)
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
