// `go run . VECTORS`: what webhook/webhook.go, from docs/verify.md, says to each vector, a line each.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"check/webhook"
)

type vector struct {
	Scheme, Secret, ID, Timestamp, Signature, Body string
	Now                                            int64
}

func (v vector) verify() error {
	switch v.Scheme {
	case "standard":
		header := http.Header{}
		header.Set("webhook-id", v.ID)
		header.Set("webhook-timestamp", v.Timestamp)
		header.Set("webhook-signature", v.Signature)
		return webhook.VerifyStandard(v.Secret, header, []byte(v.Body), time.Unix(v.Now, 0))
	case "hex":
		return webhook.VerifyHex(v.Secret, v.Signature, []byte(v.Body))
	case "sha256":
		return webhook.VerifySHA256(v.Secret, v.Signature, []byte(v.Body))
	}
	log.Fatalf("no such scheme: %s", v.Scheme)
	return nil
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil {
		log.Fatal(err)
	}
	for _, v := range vectors {
		fmt.Println(v.verify() == nil)
	}
}
