// SPDX-License-Identifier: Apache-2.0

// Ask the AWS SDK for Go v1 for credentials, by its default chain; with --again once more for each line of the input.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
)

func ask(provider *credentials.Credentials) {
	value, err := provider.Get()
	if err != nil {
		fmt.Println("none:", err)
		os.Exit(1)
	}
	fmt.Println("accessKeyId=" + value.AccessKeyID)
}

func main() {
	option := ""
	if len(os.Args) > 1 {
		option = os.Args[1]
	}
	if option == "--version" {
		fmt.Println(aws.SDKVersion)
		return
	}
	provider := session.Must(session.NewSession()).Config.Credentials
	ask(provider)
	for lines := bufio.NewScanner(os.Stdin); option == "--again" && lines.Scan(); {
		ask(provider)
	}
}
