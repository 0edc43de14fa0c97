using System;
using System.Threading;
using System.Threading.Tasks;

namespace GameApi
{
    /// <summary>
    /// Where the token of the caller comes from. A token that a function returned is kept until the service refuses
    /// it; then the function is called once more, however many calls wait for the new token.
    /// </summary>
    public sealed class TokenSource
    {
        private readonly object gate = new object();
        private readonly Func<Task<string>> get;
        private Task<string> current;

        /// <summary>A token that cannot be replaced.</summary>
        public TokenSource(string token)
        {
            current = Task.FromResult(Checked(token));
        }

        /// <summary>
        /// A function that gets a token. It is called in the context of the first call that needs one, which throws
        /// what the function throws.
        /// </summary>
        public TokenSource(Func<Task<string>> get)
        {
            this.get = get ?? throw new ArgumentNullException(nameof(get));
        }

        /// <summary>The token to send.</summary>
        internal Task<string> GetAsync(CancellationToken cancellationToken) =>
            OrCancelledAsync(OtherThan(null), cancellationToken);

        /// <summary>Whether there is another token than the one that was refused.</summary>
        internal async Task<bool> ReplaceAsync(string refused, CancellationToken cancellationToken) =>
            get != null && await OrCancelledAsync(OtherThan(refused), cancellationToken) != refused;

        private static string Checked(string token)
        {
            // The libraries below put a header that they can't send into the text of their exceptions.
            if (string.IsNullOrEmpty(token) || !Array.TrueForAll(token.ToCharArray(), IsAllowed))
            {
                throw new ArgumentException("The token can't be sent: it must consist of letters, digits and -._~+/=.");
            }
            return token;
        }

        private static bool IsAllowed(char character) =>
            (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z')
            || (character >= '0' && character <= '9') || "-._~+/=".IndexOf(character) >= 0;

        /// <summary>The call that waits ends when it is cancelled, and the others go on waiting.</summary>
        private static async Task<string> OrCancelledAsync(Task<string> token, CancellationToken cancellationToken)
        {
            var cancelled = new TaskCompletionSource<string>();
            using (cancellationToken.Register(() => cancelled.TrySetCanceled()))
            {
                return await await Task.WhenAny(token, cancelled.Task);
            }
        }

        private Task<string> OtherThan(string refused)
        {
            lock (gate)
            {
                bool hasFailed = current != null && (current.IsFaulted || current.IsCanceled);
                bool isRefused = current?.Status == TaskStatus.RanToCompletion && current.Result == refused;
                if (current == null || hasFailed || isRefused)
                {
                    current = AskAsync();
                }
                return current;
            }
        }

        private async Task<string> AskAsync() => Checked(await get());
    }
}
