/** What goes wrong between kw and a server that shall speak TLS, in words instead of OpenSSL's. */

const AUTHORITY = 'name the authority that signed it: sslrootcert=FILE in the database URL';

/**
 * @param code of the error, Node's or OpenSSL's
 * @param said its message
 * @returns undefined if it is no failure of TLS
 */
export function tlsFailure(
  code: string | undefined,
  said: string,
): { message: string; hint: string } | undefined {
  if (/does not support SSL/.test(said)) {
    return {
      message: 'the server does not speak TLS',
      hint: 'set ssl = on there, or sslmode=disable in the database URL if the way to it is safe',
    };
  }
  switch (code) {
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return {
        message: `the certificate is another host's (${said.replace(/^.*?altnames: /, '').replace(/: $/, '')})`,
        hint: 'write the host as its certificate does, or sslmode=verify-ca if any server of that authority will do',
      };
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return {
        message: `the certificate of the server ${code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'}`,
        hint: 'renew it, or check the clock of this machine',
      };
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return { message: 'the certificate of the server is self-signed and not trusted', hint: AUTHORITY };
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return {
        message: 'no authority that is trusted signed the certificate of the server',
        hint: AUTHORITY,
      };
    case 'ERR_OSSL_X509_KEY_VALUES_MISMATCH':
      return {
        message: 'the client certificate and its key do not belong together',
        hint: 'check sslcert and sslkey in the database URL',
      };
    default:
  }
  if (/alert (unknown ca|bad certificate|certificate (unknown|revoked|expired))/.test(said)) {
    return {
      message: `the server refuses the client certificate (${/alert (.*?)(?::|$)/.exec(said)?.[1]})`,
      hint: 'sslcert must be signed by the authority in ssl_ca_file of the server',
    };
  }
  if (code === undefined || !/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO)/.test(code)) return undefined;
  return { message: said, hint: 'check sslmode, sslrootcert, sslcert and sslkey in the database URL' };
}
