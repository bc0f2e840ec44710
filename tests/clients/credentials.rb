# SPDX-License-Identifier: Apache-2.0
# Ask the AWS SDK for Ruby for credentials, by its default chain; with --again once more for each line of the input.
require 'aws-sdk-core'

if ARGV[0] == '--version'
  puts Aws::CORE_GEM_VERSION
  exit
end

$stdout.sync = true
provider = Aws::CredentialProviderChain.new.resolve
if provider.nil? || !provider.set?
  puts 'none'
  exit 1
end
puts "accessKeyId=#{provider.credentials.access_key_id}"
if ARGV[0] == '--again'
  $stdin.each_line { puts "accessKeyId=#{provider.credentials.access_key_id}" }
end
