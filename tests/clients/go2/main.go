// SPDX-License-Identifier: Apache-2.0

// Ask the AWS SDK for Go v2 for credentials, by its default chain; with --again once more for each line of the input.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

func ask(provider aws.CredentialsProvider) {
	credentials, err := provider.Retrieve(context.Background())
	if err != nil {
		fmt.Println("none:", err)
		os.Exit(1)
	}
	fmt.Println("accessKeyId=" + credentials.AccessKeyID)
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
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		fmt.Println("none:", err)
		os.Exit(1)
	}
	ask(cfg.Credentials)
	for lines := bufio.NewScanner(os.Stdin); option == "--again" && lines.Scan(); {
		ask(cfg.Credentials)
	}
}
