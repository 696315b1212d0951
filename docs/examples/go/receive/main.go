// Receives webhooks: `PORT=9000 SECRET=whsec_… INBOX=inbox go run ./receive`.
//
// A delivery is verified, put aside and answered; what it asks for is done later, by whoever works off
// INBOX. ../webhook/webhook.go is the Go block of ../../../verify.md.
package main

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example/webhook"
)

const bodyBytesMax = 2 << 20

var inbox = os.Getenv("INBOX")

// putAside writes a file named for the delivery's id: one that comes again finds it there.
func putAside(id string, body []byte) error {
	path := filepath.Join(inbox, id+".json")
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Two requests that bring the same delivery at once do not share a draft.
	draft, err := os.CreateTemp(inbox, "draft")
	if err != nil {
		return err
	}
	defer draft.Close()
	if _, err := draft.Write(body); err != nil {
		return err
	}
	if err := draft.Sync(); err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}

func receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyBytesMax))
	if err != nil {
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if err := webhook.VerifyStandard(os.Getenv("SECRET"), r.Header, body, time.Now()); err != nil {
		http.Error(w, "not verified", http.StatusUnauthorized)
		return
	}
	if err := putAside(r.Header.Get("webhook-id"), body); err != nil {
		// Hookfleet comes again.
		http.Error(w, "it could not be put aside", http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		log.Fatal(err)
	}
	server := http.Server{
		Addr:        "127.0.0.1:" + os.Getenv("PORT"),
		Handler:     http.HandlerFunc(receive),
		ReadTimeout: 30 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}
