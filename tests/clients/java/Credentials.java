// SPDX-License-Identifier: Apache-2.0

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.core.util.VersionInfo;

/** Ask the AWS SDK for Java v2 for credentials, by its default chain; with --again once more for each line of the input. */
public final class Credentials {
  private static void ask(AwsCredentialsProvider provider) {
    System.out.println("accessKeyId=" + provider.resolveCredentials().accessKeyId());
  }

  public static void main(String[] args) throws IOException {
    String option = args.length > 0 ? args[0] : "";
    if (option.equals("--version")) {
      System.out.println(VersionInfo.SDK_VERSION);
      return;
    }
    AwsCredentialsProvider provider = DefaultCredentialsProvider.builder().build();
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    try {
      ask(provider);
      while (option.equals("--again") && input.readLine() != null) {
        ask(provider);
      }
    } catch (RuntimeException error) {
      System.out.println("none: " + error.getMessage().replace('\n', ' '));
      System.exit(1);
    }
  }
}
